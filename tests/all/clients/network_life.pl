# Networks: transient, persistent, autostart, what is refused in which state, what is told.
#
# perl network_life.pl URI
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
    my ($name, $uuid) = @_;
    my $id = $uuid ? "<uuid>$uuid</uuid>" : '';
    return "<network><name>$name</name>$id<bridge name='tckbr$name'/>
            <ip address='10.255.255.1' netmask='255.255.255.0'><dhcp>
            <range start='10.255.255.2' end='10.255.255.99'/></dhcp></ip></network>";
}
my (@told, @one);
$connection->network_event_register_any(undef, Sys::Virt::Network::EVENT_ID_LIFECYCLE,
    sub { my ($connection, $network, $event, $detail) = @_; push @told, $network->get_name . " $event"; });
my ($first, $second) = ('33333333-1111-1111-1111-111111111111', '44444444-1111-1111-1111-111111111111');

# One that is only created.
my $network = $connection->create_network(document('n', $first));
is($network->get_name, 'n', 'its name');
is($network->get_uuid_string, $first, 'its identifier');
ok($network->is_active && !$network->is_persistent, 'it is active and transient');
is($network->get_bridge_name, 'tckbrn', 'its bridge');
refused(55, 'the same once more', sub { $connection->create_network(document('n', $first)) });
refused(9, 'its name with another identifier', sub { $connection->create_network(document('n', $second)) });
refused(9, 'its identifier with another name', sub { $connection->create_network(document('m', $first)) });
refused(55, 'autostart of a transient network', sub { $network->set_autostart(1) });
is(count($connection->list_all_networks(Sys::Virt::Network::LIST_TRANSIENT)), 1, 'it is listed as transient');
$network->destroy;
refused(43, 'a transient network that was stopped', sub { $connection->get_network_by_name('n') });
refused(43, 'the same by identifier', sub { $connection->get_network_by_uuid($first) });

# One that is created and then defined.
$network = $connection->create_network(document('n', $first));
$network = $connection->define_network(document('n', $first));
ok($network->is_active && $network->is_persistent, 'it is active and persistent');
$network->undefine;
ok($network->is_active && !$network->is_persistent, 'it is transient again');
$network->destroy;
refused(43, 'what was undefined and stopped', sub { $connection->get_network_by_name('n') });

# One that is defined.
$network = $connection->define_network(document('n', $first));
$connection->network_event_register_any($network, Sys::Virt::Network::EVENT_ID_LIFECYCLE,
    sub { my ($connection, $network, $event, $detail) = @_; push @one, $event; });
ok(!$network->is_active && $network->is_persistent, 'it is inactive and persistent');
refused(9, 'its name with another identifier', sub { $connection->define_network(document('n', $second)) });
refused(9, 'its identifier with another name', sub { $connection->define_network(document('m', $first)) });
refused(55, 'stopping what is not started', sub { $network->destroy });
ok(!$network->get_autostart, 'it is not started by itself');
$network->set_autostart(1);
ok($network->get_autostart, 'it is started by itself');
$network->set_autostart(0);
$network->create;
ok($network->is_active, 'it is started');
refused(55, 'starting what is started', sub { $network->create });
ok(count(grep { $_->get_name eq 'n' } $connection->list_networks), 'it is among those that are active');
ok(!count(grep { $_->get_name eq 'n' } $connection->list_defined_networks), 'and not among the others');
is(count($network->get_dhcp_leases), 0, 'it has lent nothing');
is(count($network->list_all_ports), 0, 'nobody is connected');
like($network->get_xml_description, qr{<bridge name='tckbrn'}, 'its document');

# Parts of it.
my ($modify, $delete, $add) = (
    Sys::Virt::Network::UPDATE_COMMAND_MODIFY, Sys::Virt::Network::UPDATE_COMMAND_DELETE,
    Sys::Virt::Network::UPDATE_COMMAND_ADD_LAST);
my ($host, $range, $dns, $text) = (
    Sys::Virt::Network::SECTION_IP_DHCP_HOST, Sys::Virt::Network::SECTION_IP_DHCP_RANGE,
    Sys::Virt::Network::SECTION_DNS_HOST, Sys::Virt::Network::SECTION_DNS_TXT);
my ($live, $config) = (Sys::Virt::Network::UPDATE_AFFECT_LIVE, Sys::Virt::Network::UPDATE_AFFECT_CONFIG);
my $known = "<host mac='52:54:00:00:00:01' name='a' ip='10.255.255.100'/>";
$network->update($add, $host, -1, $known, $live | $config);
refused(55, 'the same host once more', sub { $network->update($add, $host, -1, $known, $live) });
like($network->get_xml_description, qr{10\.255\.255\.100}, 'a host is known');
like($network->get_xml_description(Sys::Virt::Network::XML_INACTIVE), qr{10\.255\.255\.100}, 'and in the definition');
$network->update($modify, $host, -1, "<host mac='52:54:00:00:00:01' name='b' ip='10.255.255.101'/>", $live);
like($network->get_xml_description, qr{10\.255\.255\.101}, 'it is another one');
unlike($network->get_xml_description(Sys::Virt::Network::XML_INACTIVE), qr{10\.255\.255\.101}, 'but for the definition');
refused(55, 'changing a host that is not known', sub {
    $network->update($modify, $host, -1, "<host mac='52:54:00:00:00:09' ip='10.255.255.102'/>", $live) });
$network->update($delete, $host, -1, "<host mac='52:54:00:00:00:01'/>", $live);
unlike($network->get_xml_description, qr{<host mac}, 'it is not known any more');
refused(55, 'taking out what is not there', sub { $network->update($delete, $host, -1, $known, $live) });
$network->update($add, $range, -1, "<range start='10.255.255.110' end='10.255.255.120'/>", $live);
$network->update($delete, $range, -1, "<range start='10.255.255.110' end='10.255.255.120'/>", $live);
$network->update($add, $dns, -1, "<host ip='10.255.255.5'><hostname>x</hostname></host>", $live);
like($network->get_xml_description, qr{<hostname>x</hostname>}, 'a name is known');
$network->update($delete, $dns, -1, "<host ip='10.255.255.5'/>", $live);
$network->update($add, $text, -1, "<txt name='t' value='v'/>", $live);
like($network->get_xml_description, qr{<txt name='t' value='v'/>}, 'and a text');
refused(84, 'changing the domain', sub { $network->update($modify, Sys::Virt::Network::SECTION_DOMAIN, -1, "<domain name='d'/>", $live) });
$network->destroy;
refused(55, 'changing what is not started', sub { $network->update($add, $host, -1, $known, $live) });
$network->update($delete, $host, -1, $known, $config);
unlike($network->get_xml_description, qr{<host mac}, 'nor in the definition');

$network->undefine;
refused(43, 'what was undefined', sub { $connection->get_network_by_name('n') });
refused(35, 'a text that is no document', sub { $connection->define_network('<network') });
refused([21, 27], 'a network without a name', sub { $connection->define_network('<network/>') });
alarm 60;
Sys::Virt::Event::run_default() while @told < 10 or @one < 3;
is_deeply([map { /(\d)$/ } @told], [2, 3, 2, 0, 1, 3, 0, 2, 3, 1], 'its lives were told');
is_deeply(\@one, [2, 3, 1], 'and to whoever wanted this one');
done_testing;
