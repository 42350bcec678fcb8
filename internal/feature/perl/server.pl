package Exim;
use strict;
use Fcntl;
open(my $in, '<&=', 3) or die;
open(my $out, '>&=', 4) or die;
for my $h ($in, $out) { binmode $h; my $f = fcntl($h, F_GETFD, 0); fcntl($h, F_SETFD, $f | FD_CLOEXEC); }
open(STDIN, '<', '/dev/null');

sub _read {
    my ($n) = @_;
    my $data = '';
    while (length($data) < $n) { my $r = sysread($in, $data, $n - length($data), length($data)); exit 0 unless $r; }
    $data =~ /\A(.*)\z/s;    # what the program sends is not tainted
    return $1;
}

sub _frame {
    my ($kind, $count) = unpack('aN', _read(5));
    my @texts = map { _read(unpack('N', _read(4))) } 1 .. $count;
    return ($kind, @texts);
}

sub _send {
    my ($kind, $text) = @_;
    $text = '' unless defined $text;
    utf8::encode($text) if utf8::is_utf8($text);
    my $data = $kind . pack('N', length $text) . $text;
    while (length $data) { my $n = syswrite($out, $data); exit 0 unless $n; substr($data, 0, $n) = ''; }
}

# _serve obeys calls until an answer comes.
sub _serve {
    while (1) {
        my ($kind, @texts) = _frame();
        if ($kind eq 'S') {
            eval "package main; no strict; $texts[0]";
            $@ ? _send('X', $@) : _send('R', '');
        } elsif ($kind eq 'C') {
            my $name = shift @texts;
            my $result = eval { no strict 'refs'; scalar &{"main::$name"}(@texts) };
            (my $died = $@) =~ s/ at -e line \d+\.\n\z/.\n/;
            $@ ? _send('X', $died) : defined $result ? _send('R', $result) : _send('U', '');
        } else {
            return ($kind, @texts);
        }
    }
}

sub _ask { _send(@_); return _serve(); }

sub expand_string {
    my ($kind, $text) = _ask('E', @_ ? $_[0] : '');
    if ($kind eq 'X') { my (undef, $file, $line) = caller; die "$text at $file line $line.\n"; }
    return $kind eq 'U' ? undef : $text;
}
sub log_write { _ask('L', $_[0]); return; }
sub debug_write { _ask('D', $_[0]); return; }

$SIG{__WARN__} = sub { my $t = $_[0]; log_write($t); };
eval '1';
exit 0 if _serve();
