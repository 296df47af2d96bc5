# The life of domains, transient and persistent: who is found by what, what is refused when, in which order it is told.
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use Guest;

my $connection = connect_to();
my $disk = disk_file('life.img', 16 << 20);
my $name = 'client-life';

# What is no domain.
code(sub { $connection->define_domain('<domain') }, 35, 'half an element');
code(sub { $connection->define_domain('<other/>') }, 27, 'another element');
code(sub { $connection->create_domain("<domain type='qemu'></domain>") }, [21, 27], 'a domain without a name');
code(sub { $connection->define_domain(document($connection, 'a/b')) }, [27, 1, 67], 'a name with a slash');
code(sub { $connection->define_domain(document($connection, "a\nb")) }, [35, 27], 'a name with a line break');

# Nobody.
code(sub { $connection->get_domain_by_name('nobody') }, 42, 'a name that there is not');
code(sub { $connection->get_domain_by_uuid('0123456789abcdef') }, 42, 'an identifier that there is not');
code(sub { $connection->get_domain_by_id(424242) }, 42, 'a number that there is not');

my $told = told_of($connection);

# Transient.
my $transient = $connection->create_domain(document($connection, $name, disk => $disk));
check($transient->get_id() > 0, 'a domain that runs has a number');
check(!$transient->is_persistent(), 'a created domain is not kept');
is($connection->get_domain_by_name($name)->get_uuid_string(), $transient->get_uuid_string(), 'found by its name');
is($connection->get_domain_by_id($transient->get_id())->get_name(), $name, 'found by its number');
is($connection->get_domain_by_uuid($transient->get_uuid())->get_name(), $name, 'found by its identifier');
code(sub { $transient->set_autostart(1) }, 55, 'autostart of a transient domain');
code(sub { $connection->create_domain(document($connection, $name, disk => $disk)) }, 9, 'the same name once more');
state($transient, 1, 1, 'after it was created');
$transient->suspend();
state($transient, 3, 1, 'suspended');
$transient->resume();
is(($transient->get_state())[0], 1, 'it goes on');
$transient->destroy();
code(sub { $connection->get_domain_by_name($name) }, 42, 'a transient domain that has ended');
my $heard = told(5);
check($heard =~ /^\Q$name\E 2 0|^\Q$name\E 4 0, \Q$name\E 2 0/, 'its start is told') or print "# $heard\n";
# Some tell of the signal by which a guest is ended, too.
check($heard =~ /\Q$name\E 3 0, \Q$name\E 4 0, (?:\Q$name\E 6 2, )?\Q$name\E 5 1$/, 'pause, going on and end are told in order') or print "# $heard\n";

# Persistent.
my $domain = $connection->define_domain(document($connection, $name, disk => $disk));
is(told(1), "$name 0 0", 'that it is defined is told');
check($domain->is_persistent() && !$domain->is_active(), 'a defined domain is kept, and off');
is($domain->get_id() // -1, -1, 'it has no number');
state($domain, 5, undef, 'defined');
for my $call (
    ['suspend' => sub { $domain->suspend() }], ['resume' => sub { $domain->resume() }],
    ['shutdown' => sub { $domain->shutdown() }], ['reboot' => sub { $domain->reboot(0) }],
    ['reset' => sub { $domain->reset() }], ['destroy' => sub { $domain->destroy() }],
    ['save' => sub { $domain->save("$ARGV[1]/nothing.save") }], ['dump' => sub { $domain->core_dump("$ARGV[1]/nothing.core") }],
    ['block statistics' => sub { $domain->block_stats('vda') }],
    ['interface statistics' => sub { $domain->interface_stats('vnet0') }],
    ['memory statistics' => sub { $domain->memory_stats() }],
    ['memory' => sub { $domain->set_memory(32768) }],
    ['attach' => sub { $domain->attach_device("<disk type='file'><source file='$disk'/><target dev='vdb'/></disk>") }],
    ['job info' => sub { $domain->get_job_info() }], ['processors' => sub { $domain->set_vcpus(1) }],
) {
    code($call->[1], 55, "$call->[0] of a domain that is off");
}
$domain->set_autostart(1);
check($domain->get_autostart(), 'it starts with the machine');
$domain->set_autostart(0);
check(!$domain->get_autostart(), 'and does not any more');
$domain->create();
check($domain->get_id() > 0, 'started it has a number');
code(sub { $domain->create() }, 55, 'starting it twice');
$domain->reset();
is(($domain->get_state())[0], 1, 'after a reset it runs');
$domain->undefine();
check($domain->is_active() && !$domain->is_persistent(), 'a domain that runs is only not kept any more');
my $again = $connection->define_domain($domain->get_xml_description());
check($again->is_persistent() && $again->is_active(), 'and kept again when it is defined');
is($again->get_uuid_string(), $domain->get_uuid_string(), 'with its identifier');
$domain->destroy();
state($again, 5, 2, 'destroyed');
$again->undefine();
code(sub { $connection->get_domain_by_name($name) }, 42, 'an undefined domain');
told(6);

# Names and identifiers are each one's own.
my ($one, $other) = map { "11111111-2222-3333-4444-55555555555$_" } 1, 2;
my $first = $connection->define_domain(document($connection, $name, uuid => $one));
code(sub { $connection->define_domain(document($connection, "$name-2", uuid => $one)) }, 9, 'an identifier of another');
code(sub { $connection->define_domain(document($connection, $name, uuid => $other)) }, 9, 'a name of another');
code(sub { $connection->create_domain(document($connection, $name, uuid => $other)) }, 9, 'a name of another, created');
code(sub { $connection->create_domain(document($connection, "$name-2", uuid => $one)) }, 9, 'an identifier of another, created');
my $redefined = $connection->define_domain(document($connection, $name, uuid => $one, memory => 131072));
is($redefined->get_max_memory(), 131072, 'defined anew it has what is new');

# A document of a domain that is defined and off is what runs, and the definition is what is left.
my $run = $connection->create_domain(document($connection, $name, uuid => $one, memory => 98304));
check($run->is_persistent() && $run->is_active(), 'it runs, and is kept');
is($run->get_max_memory(), 98304, 'as it was described');
code(sub { $connection->create_domain(document($connection, $name, uuid => $one)) }, 55, 'once more while it runs');
$run->destroy();
is($first->get_max_memory(), 131072, 'and afterwards as it is defined');
code(sub { $first->rename($name) }, 55, 'its own name as a new one');
$first->undefine();

# A guest that ends with its client.
told(3);
{
    my $guest = Sys::Virt->new(uri => $ARGV[0]);
    $guest->create_domain(document($connection, "$name-auto"), Sys::Virt::Domain::START_AUTODESTROY);
    check($connection->get_domain_by_name("$name-auto")->is_active(), 'it runs as long as its client is there');
}
my $ended = '';
while ($ended !~ /\Q$name\E-auto 5 /) {
    my $more = told(1) or last;
    $ended .= "$more\n";
}
check($ended =~ /\Q$name\E-auto 5 /, 'and ends with it') or print "# $ended\n";
finish();
