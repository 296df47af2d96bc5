# Snapshots: their tree, the way back, what is refused.
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use Guest;

my $connection = connect_to();
my $name = 'client-snapshots';
my $disk = "$ARGV[1]/snapshots.qcow2";
unlink $disk;
system('qemu-img', 'create', '-q', '-f', 'qcow2', $disk, '16M') == 0 or die 'qemu-img';
chmod(0666, $disk);
my $domain = $connection->define_domain(document($connection, $name, disk => $disk, format => 'qcow2'));
my $take = sub {
    my ($snapshot, $flags) = @_;
    return $domain->create_snapshot("<domainsnapshot><name>$snapshot</name><description>of $snapshot</description></domainsnapshot>", $flags // 0);
};
is($domain->num_of_snapshots(), 0, 'none');
code(sub { $domain->current_snapshot() }, 72, 'no current one');
code(sub { $domain->get_snapshot_by_name('none') }, 72, 'a name that there is not');
my $first = $take->('first');
is($first->get_name(), 'first', 'its name');
check($domain->has_current_snapshot() && $domain->current_snapshot()->get_name() eq 'first', 'it is the current one');
check($first->is_current() && $first->has_metadata(), 'and says so');
code(sub { $first->get_parent() }, 72, 'the first has no parent');
check($first->get_xml_description() =~ m{<description>of first</description>}, 'its document has what was noted');
check($first->get_xml_description() =~ m{<state>shutoff</state>}, 'and how the domain stood');
my $second = $take->('second');
is($second->get_parent()->get_name(), 'first', 'the second stands on the first');
is($domain->num_of_snapshots(), 2, 'two');
is(join(' ', sort map { $_->get_name() } $domain->list_all_snapshots()), 'first second', 'listed');
is(join(' ', map { $_->get_name() } $domain->list_all_snapshots(1)), 'first', 'those without a parent');
is(join(' ', map { $_->get_name() } $first->list_all_children()), 'second', 'children');
is($first->num_of_child_snapshots(), 1, 'one child');
code(sub { $take->('second') }, [9, 1], 'the same name once more');
code(sub { $domain->undefine() }, 55, 'undefining a domain with snapshots');

# A guest that runs.
$domain->create();
my $running = $take->('running');
check($running->get_xml_description() =~ m{<state>running</state>}, 'one with a guest');
$domain->destroy();
$first->revert_to();
check($first->is_current(), 'back to the first');
is(($domain->get_state())[0], 5, 'which is off');
$running->revert_to();
is(($domain->get_state())[0], 1, 'back to one with a guest: it runs');
$running->revert_to(Sys::Virt::DomainSnapshot::REVERT_PAUSED);
is(($domain->get_state())[0], 3, 'and paused where that is wanted');
$domain->destroy();

# What is known of one, in words.
my $redefine = Sys::Virt::DomainSnapshot::CREATE_REDEFINE;
my $known = $second->get_xml_description();
my $said = sub {
    my ($from, $to) = @_;
    (my $xml = $known) =~ s{$from}{$to}s or die "no $from in $known";
    return $domain->create_snapshot($xml, $redefine);
};
$said->('of second', 'said anew');
check($second->get_xml_description() =~ m{<description>said anew</description>}, 'its description is another');
is($domain->num_of_snapshots(), 3, 'and it is the same snapshot');
code(sub { $said->('<parent>.*?</parent>', '<parent><name>none</name></parent>') }, 8, 'a parent that there is not');
code(sub { $said->('<parent>.*?</parent>', '<parent><name>second</name></parent>') }, 8, 'its own parent');
code(sub { $said->('<uuid>.*?</uuid>', '<uuid>2f0d6ab4-6a1c-4a43-8f0e-3a3c3b1b7c11</uuid>') }, 8, 'of another domain');
code(sub { $said->('<domain .*</domain>', '') }, [8, 27], 'no domain in it');
$second->delete(Sys::Virt::DomainSnapshot::DELETE_METADATA_ONLY);
is($domain->num_of_snapshots(), 2, 'forgotten');
$second = $domain->create_snapshot($known, $redefine | Sys::Virt::DomainSnapshot::CREATE_CURRENT);
is($domain->num_of_snapshots(), 3, 'and known again');
check($second->is_current(), 'as the current one');
is($second->get_parent()->get_name(), 'first', 'in its place');
$second->revert_to();
is(($domain->get_state())[0], 5, 'what it keeps is there');

# Deleted.
$second->delete();
is($running->get_parent()->get_name(), 'first', 'a child of the deleted one stands on its parent');
$first->delete(Sys::Virt::DomainSnapshot::DELETE_CHILDREN);
is($domain->num_of_snapshots(), 0, 'all are gone');

# On disks alone, beside the image.
my $extern = eval { $domain->create(); $take->('extern', Sys::Virt::DomainSnapshot::CREATE_DISK_ONLY) };
check($extern, 'one of the disks alone while it runs') or print "# $@\n";
check($domain->get_xml_description() =~ m{<source file='[^']*snapshots\.extern'}, 'it goes on in an overlay');
$extern->delete(Sys::Virt::DomainSnapshot::DELETE_METADATA_ONLY);
is($domain->num_of_snapshots(), 0, 'forgotten');
$domain->destroy();
$domain->undefine();
finish();
