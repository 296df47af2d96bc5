# What is told of pools: steps of their life and refreshes, of all pools or of one.
#
# perl storage_events.pl URI DIRECTORY
use strict;
use warnings;
use Sys::Virt;
use Sys::Virt::Event;
use Test::More;

my ($uri, $directory) = @ARGV;
Sys::Virt::Event::register_default();
my $connection = Sys::Virt->new(uri => $uri);
my (@all, @one, @refreshed);

sub document {
    my ($name) = @_;
    return "<pool type='dir'><name>$name</name><target><path>$directory/$name</path></target></pool>";
}
my $lifecycle = $connection->storage_pool_event_register_any(
    undef, Sys::Virt::StoragePool::EVENT_ID_LIFECYCLE,
    sub { my ($connection, $pool, $event, $detail) = @_; push @all, $pool->get_name . " $event $detail"; });
my $refresh = $connection->storage_pool_event_register_any(
    undef, Sys::Virt::StoragePool::EVENT_ID_REFRESH,
    sub { my ($connection, $pool) = @_; push @refreshed, $pool->get_name; });
mkdir "$directory/$_" for ('a', 'b');
my $first = $connection->define_storage_pool(document('a'));
my $second = $connection->define_storage_pool(document('b'));
my $own = $connection->storage_pool_event_register_any(
    $second, Sys::Virt::StoragePool::EVENT_ID_LIFECYCLE,
    sub { my ($connection, $pool, $event, $detail) = @_; push @one, $pool->get_name . " $event $detail"; });
$_->create for ($first, $second);
$first->refresh;
$_->destroy for ($first, $second);
$first->delete(0);
$first->build(0);
$_->undefine for ($first, $second);
alarm 60;
Sys::Virt::Event::run_default() while @all < 10 or @one < 3 or @refreshed < 1;
is_deeply(
    [grep { /^a/ } @all],
    ['a 0 0', 'a 2 0', 'a 3 0', 'a 5 0', 'a 4 0', 'a 1 0'],
    'defined, started, stopped, deleted, made, undefined');
is_deeply([grep { /^b/ } @all], ['b 0 0', 'b 2 0', 'b 3 0', 'b 1 0'], 'and the other one');
is_deeply(\@one, ['b 2 0', 'b 3 0', 'b 1 0'], 'whoever wants one is told of that one');
is($refreshed[-1], 'a', 'a refresh is told');
$connection->storage_pool_event_deregister_any($_) for ($lifecycle, $refresh, $own);
done_testing;
