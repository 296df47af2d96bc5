# Memory, processors, disks and notes: what is told of them, and what changes.
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use Guest;

my $connection = connect_to();
my $name = 'client-sizes';
my $disk = disk_file('sizes.img', 50 << 20);
open(my $file, '+<', $disk) or die $!;
print $file 'beginning';
seek($file, (1 << 20), 0);
print $file 'A' x 4096;
close($file);
my $domain = $connection->define_domain(document($connection, $name, disk => $disk, vcpus => 2,
    devices => "<memballoon model='virtio'/>"));

# Off.
is($domain->get_max_memory(), 65536, 'memory at most');
$domain->set_max_memory(131072);
is($domain->get_max_memory(), 131072, 'another amount');
$domain->set_memory(65536, Sys::Virt::Domain::MEM_CONFIG);
check($domain->get_xml_description() =~ m{<currentMemory unit='KiB'>65536<}, 'in the definition');
code(sub { $domain->set_memory(262144, Sys::Virt::Domain::MEM_CONFIG) }, 8, 'more than there can be');
is($domain->get_vcpus(Sys::Virt::Domain::VCPU_CONFIG | Sys::Virt::Domain::VCPU_MAXIMUM), 2, 'processors at most');
$domain->set_vcpus(1, Sys::Virt::Domain::VCPU_CONFIG);
is($domain->get_vcpus(Sys::Virt::Domain::VCPU_CONFIG), 1, 'fewer in the definition');
code(sub { $domain->set_vcpus(3, Sys::Virt::Domain::VCPU_CONFIG) }, 8, 'more processors than there can be');
$domain->set_vcpus(4, Sys::Virt::Domain::VCPU_CONFIG | Sys::Virt::Domain::VCPU_MAXIMUM);
is($domain->get_vcpus(Sys::Virt::Domain::VCPU_CONFIG | Sys::Virt::Domain::VCPU_MAXIMUM), 4, 'room for more');
my $about = $domain->get_info();
is("$about->{maxMem} $about->{memory} $about->{nrVirtCpu}", '131072 65536 1', 'what it has now, and of how much');
$domain->pin_vcpu(0, "\x01", Sys::Virt::Domain::AFFECT_CONFIG);
check($domain->get_xml_description() =~ m{<vcpupin vcpu='0' cpuset='0'/>}, 'a processor is bound in the definition');
$domain->pin_emulator("\x01", Sys::Virt::Domain::AFFECT_CONFIG);
is(unpack('b2', $domain->get_emulator_pin_info(Sys::Virt::Domain::AFFECT_CONFIG)), '10', 'and everything else');
code(sub { $domain->pin_vcpu(9, "\x01", Sys::Virt::Domain::AFFECT_CONFIG) }, 8, 'a processor that there never is');
my $info = $domain->get_block_info('vda');
is($info->{capacity}, 50 << 20, 'the size of the disk');
is($info->{physical}, 50 << 20, 'the length of its file');
check($info->{allocation} > 0 && $info->{allocation} < (1 << 20), 'what it takes') or print "# $info->{allocation}\n";
code(sub { $domain->get_block_info('vdz') }, 8, 'a disk that there is not');
is($domain->block_peek($disk, 0, 9, 0), 'beginning', 'what is in it');
is($domain->block_peek($disk, 1 << 20, 4, 0), 'AAAA', 'and further back');
code(sub { $domain->block_peek('/etc/passwd', 0, 4, 0) }, 8, 'a file that is no disk of its');
code(sub { $domain->block_peek('vda', (50 << 20) - 2, 4, 0) }, 8, 'behind its end');

# I/O threads of the definition.
my $config = Sys::Virt::Domain::AFFECT_CONFIG;
$domain->add_iothread(3, $config);
is(join(' ', map { $_->{number} } $domain->get_iothread_info($config)), '3', 'a thread for I/O');
code(sub { $domain->add_iothread(3, $config) }, 8, 'the same once more');
$domain->pin_iothread(3, "\x01", $config);
check($domain->get_xml_description() =~ m{<iothreadpin iothread='3' cpuset='0'/>}, 'bound in the definition');
code(sub { $domain->del_iothread(9, $config) }, 8, 'one that there is not');
$domain->add_iothread(4, $config);
$domain->del_iothread(4, $config);
my @threads = $domain->get_iothread_info($config);
is(scalar @threads, 1, 'one more and one less');

# Notes.
code(sub { $domain->get_metadata(Sys::Virt::Domain::METADATA_TITLE, undef, 0) }, 80, 'no title');
$domain->set_metadata(Sys::Virt::Domain::METADATA_TITLE, 'a title', undef, undef, 0);
is($domain->get_metadata(Sys::Virt::Domain::METADATA_TITLE, undef, 0), 'a title', 'a title');
$domain->set_metadata(Sys::Virt::Domain::METADATA_DESCRIPTION, 'some words', undef, undef, 0);
is($domain->get_metadata(Sys::Virt::Domain::METADATA_DESCRIPTION, undef, 0), 'some words', 'a description');
$domain->set_metadata(Sys::Virt::Domain::METADATA_ELEMENT, "<app size='1'/>", 'app', 'urn:app', 0);
check($domain->get_metadata(Sys::Virt::Domain::METADATA_ELEMENT, 'urn:app', 0) =~ /^<app size=.1.\/>$/, 'an element');
$domain->set_metadata(Sys::Virt::Domain::METADATA_ELEMENT, undef, 'app', 'urn:app', 0);
code(sub { $domain->get_metadata(Sys::Virt::Domain::METADATA_ELEMENT, 'urn:app', 0) }, 80, 'an element that is gone');

# Running.
$domain->create();
code(sub { $domain->set_max_memory(262144) }, 55, 'another amount at most while it runs');
$domain->set_memory(98304);
$domain->set_memory_stats_period(1, Sys::Virt::Domain::MEM_LIVE);
my $memory = $domain->memory_stats();
check($memory->{actual_balloon} > 0 && $memory->{rss} > 0, 'memory is counted') or print '# ', join(' ', %$memory), "\n";
my $stats = $domain->block_stats('vda');
check($stats->{rd_req} >= 0 && $stats->{rd_bytes} >= 0, 'reads are counted');
my ($counted) = $connection->get_all_domain_stats(0, [$domain], 0);
is($counted->{data}->{'block.0.path'}, $disk, 'the file of a disk is told');
is($counted->{data}->{'vcpu.0.state'}, 1, 'and what a processor does');
check(defined $counted->{data}->{'vcpu.0.time'} && $counted->{data}->{'balloon.rss'} > 0, 'and what the guest uses');
code(sub { $connection->get_all_domain_stats(1 << 25, [$domain], Sys::Virt::Domain::GET_ALL_STATS_ENFORCE_STATS) }, 74, 'what nobody counts');
$domain->set_block_iotune('vda', { total_iops_sec => 500 }, Sys::Virt::Domain::AFFECT_LIVE);
is($domain->get_block_iotune('vda', Sys::Virt::Domain::AFFECT_LIVE)->{total_iops_sec}, 500, 'a disk that had no limits gets some');
$domain->block_resize('vda', 51 << 20, Sys::Virt::Domain::BLOCK_RESIZE_BYTES);
is(-s $disk, 51 << 20, 'a plain disk grows');
my $byPath = $domain->block_stats($disk);
check($byPath->{wr_req} >= 0, 'by the file too');
code(sub { $domain->block_stats('vdz') }, 8, 'a disk that there is not');
code(sub { $domain->interface_stats('vnet4711') }, 8, 'an interface that there is not');
my $more = $domain->get_block_info('vda');
is($more->{capacity}, 51 << 20, 'the size of the disk while it runs');
my @vcpus = $domain->get_vcpu_info();
is(scalar @vcpus, 1, 'one processor is there') or print "# ", scalar @vcpus, "\n";
check($vcpus[0]->{number} == 0 && $vcpus[0]->{state} == 1, 'it runs');
check(exists $vcpus[0]->{affinity}, 'it may run somewhere');
$domain->pin_vcpu(0, "\x01");
my ($pinned) = $domain->get_vcpu_info();
is(unpack('b*', substr($pinned->{affinity}, 0, 1)) =~ /^1/ ? 1 : 0, 1, 'it is bound to the first processor');
code(sub { $domain->pin_vcpu(9, "\x01") }, 8, 'a processor that there is not');
# Hosts that count by control groups need them for this.
my ($now) = eval { $domain->get_cpu_stats(-1, 1, 0) };
check(!$now || $now->{cpu_time} > 0, 'its time is counted');
my %errors = map { $_->{path} => 1 } $domain->get_disk_errors();
is(scalar keys %errors, 0, 'no disk has failed');
is($domain->get_job_info()->{type}, 0, 'no job');
code(sub { $domain->abort_job() }, 55, 'no job to give up');
code(sub { $domain->get_time() }, [74, 86], 'no agent');
$domain->inject_nmi();
is(($domain->get_state())[0], 1, 'it runs on');
my $answer = eval { $domain->get_xml_description() };
check($answer =~ m{<currentMemory unit='KiB'>}, 'the document tells its memory');
$domain->destroy();
$domain->undefine();
finish();
