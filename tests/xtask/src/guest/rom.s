# The ROM guest: runs from the reset vector in real mode on the machine q35, needs no other firmware.
# It says on COM1:
#   hostler-rom: ready
#   hostler-rom: tick HHHH                  some 14 a second, a counter kept in RAM: a restore goes on where it was
#   hostler-rom: shutting down (acpi)       power button; then the machine enters S5
        .code16
        .set    COM1,     0x3f8
        .set    PM_BASE,  0x600         # where the ACPI registers are put
        .set    BUTTON,   0x100         # power button bit of PM1 status
        .set    SLEEP,    0x2000        # PM1 control: enter the sleep state whose type is 0, S5 here
        .set    COUNTER,  0x500         # in RAM
        .set    PHASE,    0x504         # in RAM: the timer's bit when it was last read
        .set    BIT,      18            # of the 3.58 MHz ACPI timer: changes every 73 ms
        .globl  _start
_start: cli
        cld
        xorw    %ax, %ax
        movw    %ax, %ds
        movw    %ax, %ss
        movw    $0x7000, %sp
        movw    %ax, COUNTER
        movw    %ax, PHASE

        # LPC bridge 00:1f.0: ACPI base address (0x40), then ACPI enable (0x44)
        movl    $0x8000f840, %eax
        movl    $(PM_BASE | 1), %ebx
        call    configure
        movl    $0x8000f844, %eax
        movl    $0x80, %ebx
        call    configure

        movw    $(PM_BASE + 2), %dx     # PM1 enable: without it the button is not reported
        movw    $BUTTON, %ax
        outw    %ax, %dx

        movw    $ready, %si
        call    print

poll:   movw    $PM_BASE, %dx
        inw     %dx, %ax
        testw   $BUTTON, %ax
        jnz     off
        movw    $(PM_BASE + 8), %dx
        inl     %dx, %eax
        shrl    $BIT, %eax
        andw    $1, %ax
        cmpw    %ax, PHASE
        je      poll
        movw    %ax, PHASE
        incw    COUNTER
        movw    $tick, %si
        call    print
        movw    COUNTER, %bx
        movw    $4, %cx
digit:  rolw    $4, %bx
        movw    %bx, %si
        andw    $15, %si
        movb    %cs:digits(%si), %al
        movw    $COM1, %dx
        outb    %al, %dx
        loop    digit
        movw    $newline, %si
        call    print
        jmp     poll

off:    movw    $bye, %si
        call    print
        movw    $(PM_BASE + 4), %dx
        movw    $SLEEP, %ax
        outw    %ax, %dx
stop:   hlt
        jmp     stop

configure:                              # eax: address, ebx: value
        movw    $0xcf8, %dx
        outl    %eax, %dx
        movw    $0xcfc, %dx
        movl    %ebx, %eax
        outl    %eax, %dx
        ret

print:                                  # si: text in this segment, ended by zero
        movw    $COM1, %dx
next:   movb    %cs:(%si), %al
        testb   %al, %al
        jz      done
        outb    %al, %dx
        incw    %si
        jmp     next
done:   ret

digits: .ascii  "0123456789abcdef"
ready:  .asciz  "hostler-rom: ready\r\n"
tick:   .asciz  "hostler-rom: tick "
newline: .asciz "\r\n"
bye:    .asciz  "hostler-rom: shutting down (acpi)\r\n"

        .org    0xfff0
        jmp     _start
        .org    0x10000
