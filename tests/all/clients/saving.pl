# Guests that are put away: into files, with their domains, and what is no such file.
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use Guest;

my $connection = connect_to();
my $name = 'client-saving';
my $disk = disk_file('saving.img', 16 << 20);
my $file = "$ARGV[1]/guest.save";
my $xml = document($connection, $name, disk => $disk);

# Transient.
unlink $file;
my $domain = $connection->create_domain($xml);
$domain->save($file);
check(-s $file, 'it is in the file');
code(sub { $connection->get_domain_by_name($name) }, 42, 'and nowhere else');
my $document = $connection->get_save_image_xml_description($file);
check($document =~ m{<name>\Q$name\E</name>}, 'the file has its document');
$connection->define_save_image_xml($file, $document);
check($connection->get_save_image_xml_description($file) =~ m{\Q$name\E}, 'and another, which is the same');
$connection->restore_domain($file);
$domain = $connection->get_domain_by_name($name);
state($domain, 1, undef, 'brought back');
code(sub { $connection->restore_domain($file) }, [55, 9], 'brought back while it runs');
$domain->destroy();
unlink $file;

# What is no such file.
code(sub { $connection->restore_domain("$ARGV[1]/none.save") }, [38, 9, 8], 'a file that there is not');
open(my $broken, '>', "$ARGV[1]/broken.save") or die $!;
print $broken 'no guest at all' x 100;
close($broken);
code(sub { $connection->restore_domain("$ARGV[1]/broken.save") }, [9, 8], 'a file that is something else');
code(sub { $connection->get_save_image_xml_description("$ARGV[1]/broken.save") }, 9, 'its document');

# Persistent.
$domain = $connection->define_domain($xml);
$domain->create();
$domain->save($file);
state($domain, 5, 5, 'put away');
$domain->is_persistent() or check(0, 'it is kept');
$connection->restore_domain($file);
is(($domain->get_state())[0], 1, 'brought back');
unlink $file;

# With its domain.
check(!$domain->has_managed_save_image(), 'no guest of its own');
$domain->managed_save();
state($domain, 5, 5, 'put away with its domain');
check($domain->has_managed_save_image(), 'a guest of its own');
code(sub { $domain->undefine() }, 55, 'undefining it');
check($domain->managed_save_get_xml_description() =~ m{\Q$name\E}, 'its document');
$domain->create();
is(($domain->get_state())[0], 1, 'started with it');
check(!$domain->has_managed_save_image(), 'which is gone then');
$domain->suspend();
$domain->managed_save();
$domain->create();
is(($domain->get_state())[0], 3, 'one that stood still stands still');
$domain->managed_save();
$domain->managed_save_remove();
check(!$domain->has_managed_save_image(), 'forgotten');
$domain->create();
is(($domain->get_state())[0], 1, 'it boots anew');
my $core = "$ARGV[1]/guest.core";
unlink $core;
$domain->core_dump($core, Sys::Virt::Domain::DUMP_MEMORY_ONLY);
check(-s $core, 'its memory is in a file');
unlink $core;
is(($domain->get_state())[0], 1, 'and it runs on');
$domain->destroy();
$domain->undefine();
finish();
