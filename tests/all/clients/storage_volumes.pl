# Volumes: making, looking up, sizes, copies, bytes in and out, wiping and deleting.
#
# perl storage_volumes.pl URI DIRECTORY
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use Refused;
use Sys::Virt;
use Test::More;

my ($uri, $directory) = @ARGV;
my $connection = Sys::Virt->new(uri => $uri);

my $MIB = 1024 * 1024;
my $place = "$directory/volumes";
mkdir $place or die $!;
my $pool = $connection->create_storage_pool(
    "<pool type='dir'><name>v</name><target><path>$place</path></target></pool>");

sub document {
    my ($name, $format, $capacity, $more) = @_;
    $more //= '';
    return "<volume><name>$name</name><capacity unit='bytes'>$capacity</capacity>
            <allocation>0</allocation><target><format type='$format'/></target>$more</volume>";
}

# One of each format.
for my $format (qw(raw qcow2 qcow vmdk vpc vdi)) {
    my $volume = $pool->create_volume(document("$format.img", $format, 64 * $MIB));
    is($volume->get_name, "$format.img", "the name of a volume of $format");
    is($volume->get_path, "$place/$format.img", 'its path');
    is($volume->get_key, "$place/$format.img", 'its key');
    my $info = $volume->get_info;
    is($info->{type}, Sys::Virt::StorageVol::TYPE_FILE, 'it is a file');
    # Of cylinders, for some.
    ok(abs($info->{capacity} - 64 * $MIB) < $MIB, "it has 64 MiB: $info->{capacity}");
    like($volume->get_xml_description, qr{<format type='$format'/>}, 'its document');
    refused(90, 'its name once more', sub { $pool->create_volume(document("$format.img", $format, $MIB)) });
    is($pool->get_volume_by_name("$format.img")->get_key, $volume->get_key, 'it is found by name');
    is($connection->get_storage_volume_by_path("$place/$format.img")->get_name, "$format.img", 'and by path');
    is($connection->get_storage_volume_by_key("$place/$format.img")->get_name, "$format.img", 'and by key');
    is($connection->get_storage_pool_by_volume($volume)->get_name, 'v', 'and its pool by it');
    $volume->delete(0);
    refused(50, 'what was deleted', sub { $pool->get_volume_by_name("$format.img") });
    ok(!-e "$place/$format.img", 'its file is gone');
}
is($pool->num_of_storage_volumes, 0, 'nothing is left');
refused(50, 'a path that is none of ours', sub { $connection->get_storage_volume_by_path('/etc/passwd') });
refused(50, 'a key that is none of ours', sub { $connection->get_storage_volume_by_key('none') });
refused(27, 'a volume without a name', sub { $pool->create_volume("<volume><capacity>1</capacity></volume>") });
refused(27, 'a volume without a size', sub { $pool->create_volume("<volume><name>x</name></volume>") });

# One above another.
my $base = $pool->create_volume(document('base', 'qcow2', 32 * $MIB));
my $above = $pool->create_volume(
    document('above', 'qcow2', 32 * $MIB, "<backingStore><path>$place/base</path><format type='qcow2'/></backingStore>"));
like($above->get_xml_description, qr{<backingStore>\s*<path>$place/base</path>}s, 'it says what it stands on');
my @names = sort map { $_->get_name } $pool->list_all_volumes;
is_deeply(\@names, ['above', 'base'], 'both are listed');
is_deeply([sort $pool->list_storage_vol_names(10)], ['above', 'base'], 'and by the older call');
$above->delete(0);

# Sizes.
$base->resize(64 * $MIB);
is($base->get_info->{capacity}, 64 * $MIB, 'it is larger');
$base->resize(16 * $MIB, Sys::Virt::StorageVol::RESIZE_DELTA);
is($base->get_info->{capacity}, 80 * $MIB, 'and by so much more');
refused(8, 'becoming smaller without leave', sub { $base->resize(8 * $MIB) });
my $raw = $pool->create_volume(document('raw', 'raw', 8 * $MIB));
$raw->resize(4 * $MIB, Sys::Virt::StorageVol::RESIZE_SHRINK);
is($raw->get_info->{capacity}, 4 * $MIB, 'it is smaller');

# Bytes.
sub upload {
    my ($volume, $bytes, $offset, $length) = @_;
    my $stream = $connection->new_stream;
    $volume->upload($stream, $offset, $length);
    my $at = 0;
    while ($at < length $bytes) {
        my $piece = substr($bytes, $at, 65536);
        my $sent = $stream->send($piece, length $piece);
        $at += $sent;
    }
    $stream->finish;
}

sub download {
    my ($volume, $offset, $length) = @_;
    my $stream = $connection->new_stream;
    $volume->download($stream, $offset, $length);
    my $all = '';
    while (1) {
        my $data;
        my $count = $stream->recv($data, 65536);
        last if $count <= 0;
        $all .= substr($data, 0, $count);
    }
    $stream->finish;
    return $all;
}
my $content = join('', map { chr($_ % 251) } 1 .. 300_000);
$content .= "\0" x (4 * $MIB - length $content);
upload($raw, $content, 0, 0);
ok(download($raw, 0, 0) eq $content, 'what went in comes out');
is(length(download($raw, 0, 0)), 4 * $MIB, 'and all of it');
upload($raw, 'part', 100, 0);
is(download($raw, 98, 8), substr($content, 98, 2) . 'part' . substr($content, 104, 2), 'a part of it is written and read');

# Copies.
my $copy = $pool->clone_volume(document('copy', 'raw', 4 * $MIB), $raw);
ok(download($copy, 0, 0) eq download($raw, 0, 0), 'a copy has the same content');
my $other = $pool->clone_volume(document('other', 'qcow2', 4 * $MIB), $raw);
like($other->get_xml_description, qr{<format type='qcow2'/>}, 'a copy may have another format');
refused(1, 'a copy under a name that is taken', sub { $pool->clone_volume(document('copy', 'raw', 4 * $MIB), $raw) });

# Wiping.
$raw->wipe(0);
ok(download($raw, 0, 0) eq "\0" x (4 * $MIB), 'nothing of it is left');
refused(8, 'wiping in a way that there is not', sub { $raw->wipe_pattern(99) });

for my $volume ($pool->list_all_volumes) { $volume->delete(0); }
$pool->destroy;
refused(49, 'volumes of a pool that is gone', sub { $base->get_info });
done_testing;
