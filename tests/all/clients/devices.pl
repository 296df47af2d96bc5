# Devices that come, go and change while their guest runs.
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use Guest;

my $connection = connect_to();
my $name = 'client-devices';
my $disk = disk_file('devices.img', 16 << 20);
my ($more, $iso, $other) = map { disk_file($_, 4 << 20) } 'more.img', 'a.iso', 'b.iso';
my $drive = sub {
    my ($source) = @_;
    $source = $source ? "<source file='$source'/>" : '';
    return "<disk type='file' device='cdrom'><driver name='qemu' type='raw'/>$source<target dev='hda' bus='sata'/><readonly/></disk>";
};
my $xml = document($connection, $name, disk => $disk, devices => $drive->($iso) =~ s/hda/sda/r);
$xml =~ s/machine='\w+'/machine='q35'/;
my $ports = join('', map { "<controller type='pci' index='$_' model='pcie-root-port'/>" } 1 .. 10);
$xml =~ s{</devices>}{<controller type='pci' index='0' model='pcie-root'/>$ports</devices>};
$xml =~ s{</devices>}{<channel type='unix'><target type='virtio' name='org.example.line'/></channel></devices>};
my $domain = $connection->create_domain($xml);
my $count = sub { my ($what) = @_; my @found = $domain->get_xml_description() =~ /<$what[ >]/g; return scalar @found };

is($count->('disk'), 2, 'two disks');
my $element = "<disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='$more'/><target dev='vdb' bus='virtio'/></disk>";
$domain->attach_device($element);
is($count->('disk'), 3, 'one more');
is($domain->get_block_info('vdb')->{capacity}, 4 << 20, 'of its size');
code(sub { $domain->attach_device($element) }, [9, 55, 1, 27, 67], 'the same once more');
code(sub { $domain->attach_device('<disk') }, 35, 'half an element');
code(sub { $domain->attach_device("<disk type='file'><driver name='qemu' type='raw'/><source file='$ARGV[1]/none.img'/><target dev='vdc' bus='virtio'/></disk>") },
    [38, 1, 9, 8, 42], 'a file that there is not');
my $nic = "<interface type='user'><mac address='52:54:00:aa:bb:01'/><model type='virtio'/></interface>";
$domain->attach_device($nic);
is($count->('interface'), 1, 'an interface');
code(sub { $domain->detach_device("<interface type='user'><mac address='52:54:00:aa:bb:99'/></interface>") }, 99, 'an interface that there is not');
code(sub { $domain->detach_device("<disk type='file' device='disk'><source file='/none'/><target dev='vdz' bus='virtio'/></disk>") }, [99, 9], 'a disk that there is not');

# A line to a program in the guest.
my $stream = $connection->new_stream();
$domain->open_channel($stream, 'org.example.line', 0);
check($stream->send("hello\n", 6) == 6, 'bytes go to a channel');
$stream->abort();
code(sub { $domain->open_channel($connection->new_stream(), 'org.example.none', 0) }, [1, 8], 'a channel that there is not');

# A medium.
my $changed = $drive->($other) =~ s/hda/sda/r;
$domain->update_device($changed, Sys::Virt::Domain::DEVICE_MODIFY_LIVE);
check($domain->get_xml_description() =~ m{<source file='\Q$other\E'}, 'another medium');
$domain->update_device($drive->('') =~ s/hda/sda/r, Sys::Virt::Domain::DEVICE_MODIFY_LIVE | Sys::Virt::Domain::DEVICE_MODIFY_FORCE);
check($domain->get_xml_description() !~ m{<source file='\Q$other\E'}, 'none');
# A cable.
my $link = sub { return $nic =~ s{</interface>}{<link state='$_[0]'/></interface>}r };
$domain->update_device($link->('down'), Sys::Virt::Domain::DEVICE_MODIFY_LIVE);
check($domain->get_xml_description() =~ m{<link state='down'/>}, 'its cable is out');
$domain->update_device($link->('up'), Sys::Virt::Domain::DEVICE_MODIFY_LIVE);
check($domain->get_xml_description() !~ m{<link state='down'/>}, 'and in again');
code(sub { $domain->update_device("<rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>", Sys::Virt::Domain::DEVICE_MODIFY_LIVE) },
    [67, 84, 1], 'a device that does not change');
$domain->destroy();

# As it is stored.
my $stored = $connection->define_domain(document($connection, $name, disk => $disk, devices => "$nic<graphics type='vnc' port='-1'/>"));
my $config = Sys::Virt::Domain::DEVICE_MODIFY_CONFIG;
$stored->update_device($element =~ s/vdb/vda/r, $config);
check($stored->get_xml_description() =~ m{<source file='\Q$more\E'} && $stored->get_xml_description() !~ m{\Q$disk\E}, 'another file in a disk');
$stored->update_device("<graphics type='vnc' port='-1' passwd='secret'/>", $config);
check($stored->get_xml_description(Sys::Virt::Domain::XML_SECURE) =~ m{passwd='secret'}, 'another password of a display');
$stored->update_device($nic =~ s/virtio/e1000/r, $config);
check($stored->get_xml_description() =~ m{<model type='e1000'/>}, 'another model of an interface');
code(sub { $stored->update_device($element =~ s/vdb/vdz/r, $config) }, [8, 99], 'a disk that there is not');
code(sub { $stored->update_device("<sound model='ich6'/>", $config) }, 84, 'a device that is defined as a whole only');
code(sub { $stored->update_device('<disk', $config) }, 35, 'half an element');
$stored->undefine();
finish();
