# What the programs about what is no guest have in common: calls that have to fail, by the number that clients branch on.
package Refused;

use strict;
use warnings;
use Exporter 'import';
use Test::More;

our @EXPORT = qw(count refused);

sub count { return scalar @_; }

# Makes a call that has to fail with this number, or with one of these.
sub refused {
    my ($code, $what, $call) = @_;
    eval { $call->(); };
    my $error = $@;
    ok(ref $error, "$what is refused") or return;
    my %fits = map { $_ => 1 } ref $code ? @$code : $code;
    ok($fits{$error->code}, "$what: " . $error->code . ' ' . $error->message);
}

1;
