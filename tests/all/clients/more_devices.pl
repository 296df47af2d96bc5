# Devices other than disks and interfaces that come and go while their guest runs.
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use Guest;

my $connection = connect_to();
my $name = 'client-more-devices';
my $xml = document($connection, $name, disk => disk_file('more-devices.img', 16 << 20));
$xml =~ s/machine='\w+'/machine='q35'/;
my $ports = join('', map { "<controller type='pci' index='$_' model='pcie-root-port'/>" } 1 .. 12);
my $line = sub { return "<channel type='unix'><target type='virtio' name='org.example.$_[0]'/></channel>" };
$xml =~ s{</devices>}{<controller type='pci' index='0' model='pcie-root'/>$ports<controller type='usb' model='qemu-xhci'/>@{[$line->('first')]}</devices>};
my $domain = $connection->create_domain($xml);
my $count = sub { my ($what) = @_; my @found = $domain->get_xml_description() =~ /<$what[ >]/g; return scalar @found };
my $has = sub { my ($alias) = @_; return $domain->get_xml_description() =~ m{<alias name='$alias'/>} ? 1 : 0 };

# Randomness. The guest has no system, so that it lets go of nothing on PCI; that it was asked is success.
my $rng = "<rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>";
$domain->attach_device($rng);
is($count->('rng'), 1, 'a source of randomness');
is($has->('rng0'), 1, 'its alias');
$domain->attach_device($rng =~ s/urandom/random/r);
is($has->('rng1'), 1, 'that of the second');
is(number(sub { $domain->detach_device($rng) }), 0, 'the guest is asked');
code(sub { $domain->detach_device("<rng model='virtio'><backend model='builtin'/></rng>") }, 99, 'one that there is not');
code(sub { $domain->detach_device("<rng model='virtio'><backend model='random'>/dev/urandom</backend><address type='pci' domain='0' bus='0' slot='0x1e' function='0'/></rng>") },
    99, 'one that is elsewhere');

# Input, on a bus that takes devices out at once.
my $tablet = "<input type='tablet' bus='usb'/>";
my $before = $count->('input');
$domain->attach_device($tablet);
is($count->('input'), $before + 1, 'a tablet');
$domain->detach_device($tablet);
is($count->('input'), $before, 'and none');
code(sub { $domain->detach_device($tablet) }, 99, 'once more');
code(sub { $domain->attach_device("<input type='tablet' bus='ps2'/>") }, [1, 8, 27, 67, 84], 'a tablet where there are none');

# A watchdog: one at most.
my $watchdog = "<watchdog model='ib700' action='reset'/>";
code(sub { $domain->attach_device($watchdog) }, [67, 84, 55], 'a watchdog that is a part of its machine');
code(sub { $domain->detach_device($watchdog) }, 99, 'one that there is not');

# A controller.
$domain->attach_device("<controller type='scsi' index='0' model='virtio-scsi'/>");
is($has->('scsi0'), 1, 'a controller');
code(sub { $domain->attach_device("<controller type='sata' index='4'/>") }, [67, 84], 'one that comes with the machine only');
code(sub { $domain->detach_device("<controller type='scsi' index='7' model='virtio-scsi'/>") }, 99, 'one that there is not');
code(sub { $domain->detach_device("<controller type='virtio-serial' index='0'/>") }, [9, 55, 84], 'one that a channel needs');

# Channels.
$domain->attach_device("<channel type='pty'><target type='virtio' name='org.example.second'/></channel>");
is($has->('channel1'), 1, 'a second channel');
$domain->attach_device("<channel type='unix'><source mode='bind' path='$ARGV[1]/third.sock'/><target type='virtio' name='org.example.third'/></channel>");
is($count->('channel'), 3, 'a third');
my $stream = $connection->new_stream();
$domain->open_channel($stream, 'org.example.third', 0);
check($stream->send("hello\n", 6) == 6, 'bytes go there');
$stream->abort();
my ($second) = $domain->get_xml_description() =~ m{(<channel type='pty'(?:(?!</channel>).)*org\.example\.second.*?</channel>)}s;
$domain->detach_device($second);
is($count->('channel'), 2, 'two are left');
is($has->('channel2'), 1, 'with their names');
# This call only asks; an event tells that it is gone.
my $gone = '';
my $watch = $connection->domain_event_register_any($domain, Sys::Virt::Domain::EVENT_ID_DEVICE_REMOVED, sub { $gone .= $_[2] });
my $tick = Sys::Virt::Event::add_timeout(200, sub { });
$domain->detach_device_alias('channel2');
my $until = time() + 20;
Sys::Virt::Event::run_default() while $gone !~ /channel2/ && time() < $until;
check($gone =~ /^channel2/, 'by its alias');
is($count->('channel'), 1, 'one is left');
Sys::Virt::Event::remove_timeout($tick);
$connection->domain_event_deregister_any($watch);
code(sub { $domain->detach_device_alias('channel2') }, [1, 9, 99], 'once more');
$domain->destroy();

# As it is stored.
my $stored = $connection->define_domain(document($connection, $name));
my $config = Sys::Virt::Domain::DEVICE_MODIFY_CONFIG;
my $kept = sub { my ($what) = @_; my @found = $stored->get_xml_description() =~ /<$what[ >]/g; return scalar @found };
for my $element ($rng, $tablet, "<watchdog model='i6300esb' action='poweroff'/>", $line->('kept')) {
    my ($what) = $element =~ /<(\w+)/;
    my $found = $kept->($what);
    $stored->attach_device($element, $config);
    is($kept->($what), $found + 1, "a $what that is stored");
    $stored->detach_device($element, $config);
    is($kept->($what), $found, 'and is not any more');
    code(sub { $stored->detach_device($element, $config) }, [8, 99], 'once more');
}
$stored->undefine();
finish();
