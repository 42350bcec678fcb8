# Seals and verifies with Mail::DKIM; requests and answers are those of arc.py. Arguments: key file, key record.
use strict;
use warnings;
use Mail::DKIM::ARC::Signer;
use Mail::DKIM::ARC::Verifier;
use Mail::DKIM::PublicKey;

my ($file, $record) = @ARGV;
{
    no warnings 'redefine';
    # every domain has the same key
    *Mail::DKIM::PublicKey::fetch_async = sub {
        my ($class, %prms) = @_;
        my $key = Mail::DKIM::PublicKey->parse($record);
        $key->{$_} = $prms{$_} for qw(Selector Domain);
        $prms{Callbacks}{Success} and return sub { $prms{Callbacks}{Success}->($key) };
        return sub { $key };
    };
    *Mail::DKIM::PublicKey::fetch = sub {
        my ($class, %prms) = @_;
        my $key = Mail::DKIM::PublicKey->parse($record);
        $key->{$_} = $prms{$_} for qw(Selector Domain);
        return $key;
    };
}
binmode STDIN;
binmode STDOUT;
$| = 1;
while (defined(my $line = <STDIN>)) {
    my @words = split ' ', $line;
    read(STDIN, my $message, $words[-1]);
    my $answer;
    if ($words[0] eq 'seal') {
        my $signer = Mail::DKIM::ARC::Signer->new(Algorithm => 'rsa-sha256', Chain => 'ar', Domain => $words[1], SrvId => $words[1], Selector => 'sel',
            KeyFile => $file, Headers => '');
        $signer->PRINT($message);
        $signer->CLOSE;
        $answer = $signer->result eq 'sealed' ? $signer->as_string : 'error ' . $signer->result . ' ' . ($signer->{details} // '');
        $answer .= "\r\n" if $answer !~ /\n\z/;
    } else {
        my $verifier = Mail::DKIM::ARC::Verifier->new();
        $verifier->PRINT($message);
        $verifier->CLOSE;
        $answer = $verifier->result . ' ' . $verifier->result_detail;
    }
    print length($answer), "\n", $answer;
}
