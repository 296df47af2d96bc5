# Pools: transient, persistent, autostart, and what is refused in which state; the numbers are what clients branch on.
#
# perl storage_pools.pl URI DIRECTORY
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use Refused;
use Sys::Virt;
use Test::More;

my ($uri, $directory) = @ARGV;
my $connection = Sys::Virt->new(uri => $uri);

sub document {
    my ($name, $uuid, $path) = @_;
    my $id = $uuid ? "<uuid>$uuid</uuid>" : "";
    return "<pool type='dir'><name>$name</name>$id<target><path>$path</path></target></pool>";
}

my ($first, $second) = ('11111111-1111-1111-1111-111111111111', '22222222-1111-1111-1111-111111111111');
my $place = "$directory/pool";

# One that is only created.
refused(38, 'a pool without its directory', sub { $connection->create_storage_pool(document('p', $first, $place)) });
mkdir $place or die $!;
my $pool = $connection->create_storage_pool(document('p', $first, $place));
is($pool->get_name, 'p', 'its name');
is($pool->get_uuid_string, $first, 'its identifier');
ok($pool->is_active && !$pool->is_persistent, 'it is active and transient');
refused(55, 'the same once more', sub { $connection->create_storage_pool(document('p', $first, $place)) });
refused(9, 'its name with another identifier', sub { $connection->create_storage_pool(document('p', $second, $place)) });
refused(9, 'its identifier with another name', sub { $connection->create_storage_pool(document('q', $first, $place)) });
refused(1, 'autostart of a transient pool', sub { $pool->set_autostart(1) });
$pool->destroy;
refused(49, 'a transient pool that was stopped', sub { $connection->get_storage_pool_by_name('p') });
refused(49, 'the same by identifier', sub { $connection->get_storage_pool_by_uuid($first) });

# One that is created and then defined.
$pool = $connection->create_storage_pool(document('p', $first, $place));
$pool = $connection->define_storage_pool(document('p', $first, $place));
ok($pool->is_active && $pool->is_persistent, 'it is active and persistent');
$pool->destroy;
ok(!$pool->is_active && $connection->get_storage_pool_by_name('p'), 'it stays when it is stopped');
$pool->undefine;
refused(49, 'what was undefined', sub { $connection->get_storage_pool_by_name('p') });

# One that is defined.
$pool = $connection->define_storage_pool(document('p', $first, $place));
ok(!$pool->is_active && $pool->is_persistent, 'it is inactive and persistent');
ok(!$pool->get_autostart, 'it is not started by itself');
is($pool->get_info->{state}, Sys::Virt::StoragePool::STATE_INACTIVE, 'its state');
refused(9, 'its name with another identifier', sub { $connection->define_storage_pool(document('p', $second, $place)) });
refused(9, 'its identifier with another name', sub { $connection->define_storage_pool(document('q', $first, $place)) });
refused(55, 'stopping what is not started', sub { $pool->destroy });
refused(55, 'refreshing what is not started', sub { $pool->refresh });
refused(55, 'counting volumes of what is not started', sub { $pool->num_of_storage_volumes });
refused(55, 'listing volumes of what is not started', sub { $pool->list_all_volumes });
$pool->set_autostart(1);
ok($pool->get_autostart, 'it is started by itself');
$pool->set_autostart(0);
$pool->create;
ok($pool->is_active, 'it is started');
is($pool->get_info->{state}, Sys::Virt::StoragePool::STATE_RUNNING, 'its state');
ok($pool->get_info->{capacity} > 0, 'it has room');
refused(55, 'starting what is started', sub { $pool->create });
refused(55, 'undefining what is started', sub { $pool->undefine });
refused(55, 'deleting what is started', sub { $pool->delete(0) });
refused(55, 'building what is started', sub { $pool->build(0) });
my ($listed) = grep { $_->get_name eq 'p' } $connection->list_all_storage_pools(Sys::Virt::StoragePool::LIST_ACTIVE);
ok($listed, 'it is among those that are active');
ok(count(grep { $_->get_name eq 'p' } $connection->list_storage_pools), 'and in the older list');
ok(!count(grep { $_->get_name eq 'p' } $connection->list_defined_storage_pools), 'and not among the inactive');
ok(count($connection->list_all_storage_pools(Sys::Virt::StoragePool::LIST_DIR)), 'there are pools that are directories');
is(count($connection->list_all_storage_pools(Sys::Virt::StoragePool::LIST_ISCSI)), 0, 'and none of another type');
is($connection->get_storage_pool_by_target_path($place)->get_name, 'p', 'it is found by its place');
refused(49, 'a place that no pool has', sub { $connection->get_storage_pool_by_target_path("$directory/none") });
like($pool->get_xml_description, qr{<pool type='dir'>.*<capacity unit='bytes'>\d+</capacity>}s, 'its document');
open(my $file, '>', "$place/found") or die $!;
close $file;
$pool->refresh;
is($pool->num_of_storage_volumes, 1, 'a file that came is a volume');
unlink "$place/found";
$pool->refresh;
is($pool->num_of_storage_volumes, 0, 'and gone when it is');
$pool->destroy;
ok($connection->get_storage_pool_by_name('p')->is_persistent, 'it is still defined');

# Its place is made and removed.
open($file, '>', "$place/full") or die $!;
close $file;
refused(38, 'deleting a place that is not empty', sub { $pool->delete(0) });
unlink "$place/full";
$pool->delete(0);
ok(!-d $place, 'its place is gone');
refused(38, 'starting it without', sub { $pool->create });
$pool->build(0);
ok(-d $place, 'its place is made');
refused(8, 'both flags of building', sub { $pool->build(4 | 8) });
$pool->create;
ok($pool->is_active, 'it is started in it');
$pool->destroy;
$pool->undefine;
refused(49, 'what was undefined', sub { $connection->get_storage_pool_by_name('p') });

# What is no pool.
refused([21, 27], 'a document without a name', sub { $connection->define_storage_pool("<pool type='dir'><target><path>/x</path></target></pool>") });
refused(35, 'a text that is no document', sub { $connection->define_storage_pool('<pool') });
refused(3, 'sources of directories', sub { $connection->find_storage_pool_sources('dir', '') });
like($connection->get_storage_pool_capabilities, qr{<pool type='dir' supported='yes'>}, 'what pools there can be');
refused(49, 'undefining a pool twice', sub { $pool->undefine });
done_testing;
