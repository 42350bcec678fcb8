# Signs and verifies with Mail::DKIM; requests and answers are those of signatures.py. Arguments: file of the RSA key, its key record.
use strict;
use warnings;
use Mail::DKIM::PublicKey;
use Mail::DKIM::Signature;
use Mail::DKIM::Signer;
use Mail::DKIM::Verifier;

my ($file, $record) = @ARGV;
{
    no warnings 'redefine';
    *Mail::DKIM::PublicKey::fetch_async = sub {
        my ($class, %prms) = @_;
        my $key = Mail::DKIM::PublicKey->parse($record);
        $key->{$_} = $prms{$_} for qw(Selector Domain);
        $prms{Callbacks}{Success} and return sub { $prms{Callbacks}{Success}->($key) };
        return sub { $key };
    };
    *Mail::DKIM::PublicKey::fetch = sub { my $get = Mail::DKIM::PublicKey::fetch_async(@_); return $get->() };
}
binmode STDIN;
binmode STDOUT;
$| = 1;
while (defined(my $line = <STDIN>)) {
    my @words = split ' ', $line;
    read(STDIN, my $message, $words[-1]);
    my $answer;
    if ($words[0] eq 'sign') {
        my (undef, undef, $header, $body, $extra) = @words;
        my $signer = Mail::DKIM::Signer->new(
            KeyFile => $file,
            Policy  => sub {
                my $s = shift;
                $s->add_signature(Mail::DKIM::Signature->new(
                    Algorithm => 'rsa-sha256', Method => "$header/$body", Domain => 'a.example', Selector => 'rsa', Headers => $s->headers,
                    Identity => 'joe@sub.a.example', $extra eq 'expires' ? (Timestamp => time(), Expiration => time() + 1000) : ()));
                return 1;
            });
        $signer->PRINT($message);
        $signer->CLOSE;
        $answer = $signer->signature->as_string . "\r\n";
    } else {
        my $verifier = Mail::DKIM::Verifier->new();
        $verifier->PRINT($message);
        $verifier->CLOSE;
        $answer = $verifier->result . ' ' . $verifier->result_detail;
    }
    print length($answer), "\n", $answer;
}
