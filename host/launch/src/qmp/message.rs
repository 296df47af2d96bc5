//! One line of QMP, taken apart without looking into answers.
