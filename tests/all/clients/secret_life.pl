# Secrets: making, finding, values, what is refused, what is told.
#
# perl secret_life.pl URI
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use Refused;
use Sys::Virt;
use Sys::Virt::Event;
use Test::More;

my ($uri) = @ARGV;
Sys::Virt::Event::register_default();
my $connection = Sys::Virt->new(uri => $uri);

sub document {
    my (%is) = @_;
    my $uuid = $is{uuid} ? "<uuid>$is{uuid}</uuid>" : '';
    my $private = $is{private} // 'no';
    my $ephemeral = $is{ephemeral} // 'no';
    return "<secret ephemeral='$ephemeral' private='$private'>$uuid<description>d</description>
            <usage type='volume'><volume>$is{volume}</volume></usage></secret>";
}
my (@told, @values);
$connection->secret_event_register_any(undef, Sys::Virt::Secret::EVENT_ID_LIFECYCLE,
    sub { my ($connection, $secret, $event, $detail) = @_; push @told, $secret->get_usage_id . " $event $detail"; });
$connection->secret_event_register_any(undef, Sys::Virt::Secret::EVENT_ID_VALUE_CHANGED,
    sub { my ($connection, $secret) = @_; push @values, $secret->get_usage_id; });

my $uuid = '55806c7d-8e93-456f-829b-607d8c198367';
my $secret = $connection->define_secret(document(uuid => $uuid, volume => '/a'));
is($secret->get_uuid_string, $uuid, 'its identifier');
is($secret->get_usage_type, Sys::Virt::Secret::USAGE_TYPE_VOLUME, 'what kind of thing it is for');
is($secret->get_usage_id, '/a', 'and which');
like($secret->get_xml_description, qr{<secret ephemeral='no' private='no'>.*<volume>/a</volume>}s, 'its document');
is($connection->get_secret_by_usage(Sys::Virt::Secret::USAGE_TYPE_VOLUME, '/a')->get_uuid_string, $uuid, 'it is found by that');
is($connection->get_secret_by_uuid($uuid)->get_usage_id, '/a', 'and by its identifier');
refused(66, 'what there is no secret for', sub { $connection->get_secret_by_usage(Sys::Virt::Secret::USAGE_TYPE_VOLUME, '/b') });
refused(66, 'an identifier that none has', sub { $connection->get_secret_by_uuid('00000000-0000-0000-0000-000000000001') });
refused(66, 'a value that it does not have', sub { $secret->get_value });
my $value = "a\0b" . join('', map { chr } 0 .. 255);
$secret->set_value($value);
ok($secret->get_value eq $value, 'its value');
$secret->set_value('second');
is($secret->get_value, 'second', 'and another one');
refused(1, 'another use for its identifier', sub { $connection->define_secret(document(uuid => $uuid, volume => '/b')) });
refused(1, 'its use for another identifier', sub { $connection->define_secret(document(volume => '/a')) });
$connection->define_secret(document(uuid => $uuid, volume => '/a', private => 'yes'));
refused(65, 'the value of a private secret', sub { $secret->get_value });
refused(1, 'telling what was private', sub { $connection->define_secret(document(uuid => $uuid, volume => '/a')) });

my $short = $connection->define_secret(document(volume => '/short', ephemeral => 'yes'));
$short->set_value('lived');
is($short->get_value, 'lived', 'one in memory alone has a value too');
is(count($connection->list_all_secrets), 2, 'there are two');
is(count($connection->list_all_secrets(Sys::Virt::Secret::LIST_PRIVATE)), 1, 'one of them is private');
is(count($connection->list_all_secrets(Sys::Virt::Secret::LIST_EPHEMERAL)), 1, 'and one in memory alone');
is($connection->num_of_secrets, 2, 'by the older call too');
is(count($connection->list_secret_uuids(10)), 2, 'and that lists them');
refused(35, 'a text that is no document', sub { $connection->define_secret('<secret') });
refused([27, 67], 'a use that there is not', sub { $connection->define_secret("<secret><usage type='none-such'/></secret>") });
$_->undefine for ($secret, $short);
refused(66, 'what was undefined', sub { $secret->get_value });
is($connection->num_of_secrets, 0, 'none is left');
alarm 60;
Sys::Virt::Event::run_default() while @told < 5 or @values < 3;
is_deeply(\@told, ['/a 0 0', '/a 0 0', '/short 0 0', '/a 1 0', '/short 1 0'], 'their lives were told');
is_deeply(\@values, ['/a', '/a', '/short'], 'and their values changing');
done_testing;
