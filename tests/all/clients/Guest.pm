# What the programs beside this have in common: a guest as capabilities allow it, and checks that are printed.
package Guest;

use strict;
use warnings;
use Exporter 'import';
use Sys::Virt;

our @EXPORT = qw(connect_to check is code state disk_file document finish number told told_of);

my ($checks, $failures) = (0, 0);

# The connection that the first argument names.
sub connect_to {
    Sys::Virt::Event::register_default();
    return Sys::Virt->new(uri => $ARGV[0]);
}

sub check($$) {
    my ($good, $what) = @_;
    $checks++;
    $failures++ unless $good;
    print(($good ? "ok" : "not ok"), " $checks - $what\n");
    return $good;
}

sub is {
    my ($found, $wanted, $what) = @_;
    my $same = (defined $found && defined $wanted) ? $found eq $wanted : (!defined $found && !defined $wanted);
    check($same, $what) or print "# found ", $found // 'nothing', ", not ", $wanted // 'nothing', "\n";
    return $same;
}

# The number of the error of a call, which has to fail with one of these.
sub code {
    my ($call, $wanted, $what) = @_;
    eval { $call->(); 1 } and return check(0, "$what: it is refused");
    my $error = $@;
    my $found = ref $error ? $error->code : "no error of libvirt's: $error";
    my $good = grep { $found eq $_ } ref $wanted ? @$wanted : $wanted;
    check($good, "$what: refused with ". (ref $wanted ? join('|', @$wanted) : $wanted))
        or print "# found $found: $error\n";
    return $good;
}

sub number {
    my ($call) = @_;
    eval { $call->(); 1 } and return 0;
    return ref $@ ? $@->code : -1;
}

sub state {
    my ($domain, $state, $reason, $what) = @_;
    my ($found, $why) = $domain->get_state();
    is($found, $state, "$what: state");
    is($why, $reason, "$what: reason") if defined $reason;
}

# A sparse file of so many bytes in the directory that is the second argument.
sub disk_file {
    my ($name, $bytes) = @_;
    my $path = "$ARGV[1]/$name";
    open(my $file, '>', $path) or die "$path: $!";
    truncate($file, $bytes) or die "$path: $!";
    close($file);
    chmod(0666, $path);
    return $path;
}

# A domain as generic clients build it: what runs it comes from the capabilities.
sub document {
    my ($connection, $name, %with) = @_;
    my $capabilities = $connection->get_capabilities();
    my ($guest) = grep { m{<os_type>hvm</os_type>} && m{<arch name='x86_64'>} }
        $capabilities =~ m{(<guest>.*?</guest>)}gs;
    die "no guest of x86_64 among the capabilities" unless $guest;
    my ($emulator) = $guest =~ m{<emulator>([^<]+)</emulator>};
    my ($machine) = $guest =~ m{<machine[^>]*>(pc|q35)</machine>};
    die "no <domain type='qemu'>" unless $guest =~ m{<domain type='qemu'/?>};
    my $uuid = $with{uuid} ? "<uuid>$with{uuid}</uuid>" : '';
    my $disk = $with{disk} ? "<disk type='file' device='disk'><driver name='qemu' type='" . ($with{format} // 'raw')
        . "'/><source file='$with{disk}'/><target dev='vda' bus='virtio'/></disk>" : '';
    my $memory = $with{memory} // 65536;
    my $vcpus = $with{vcpus} // 1;
    my $more = $with{devices} // '';
    my $elements = $with{elements} // '';
    return "<domain type='qemu'><name>$name</name>$uuid<memory>$memory</memory><currentMemory>"
        . ($with{current} // $memory) . "</currentMemory><vcpu>$vcpus</vcpu>$elements"
        . "<os><type arch='x86_64' machine='$machine'>hvm</type><boot dev='hd'/></os>"
        . "<features><acpi/><apic/></features><devices><emulator>$emulator</emulator>$disk$more"
        . "<serial type='pty'/><console type='pty'/></devices><seclabel type='none'/></domain>";
}

my @told;

# Notes events of domains' lives from now on.
sub told_of {
    my ($connection) = @_;
    return $connection->domain_event_register_any(undef, Sys::Virt::Domain::EVENT_ID_LIFECYCLE, sub {
        my ($connection, $domain, $event, $detail) = @_;
        push @told, $domain->get_name() . " $event $detail";
    });
}

# What was told since the last time, once so many events have come.
sub told {
    my ($count) = @_;
    my $until = time() + 20;
    Sys::Virt::Event::add_timeout(200, sub { });
    while (@told < $count && time() < $until) {
        Sys::Virt::Event::run_default();
    }
    my @now = splice(@told, 0, scalar @told);
    return join(', ', @now);
}

sub finish {
    print "1..$checks\n";
    exit($failures ? 1 : 0);
}

1;
