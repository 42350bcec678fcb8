package cli

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	_ "embed"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"exigo/internal/catalog"
	"exigo/internal/outside"
)

// demoConfiguration is what "exigo demo" runs.
//
//go:embed defaults/demo.conf
var demoConfiguration string

// demoWait is how long the demonstration waits for its message to arrive.
const demoWait = 10 * time.Second

// demo runs a server of its own in a folder of its own, sends a message through it, shows log and mailbox, and goes
// on until it is interrupted. With -once it ends there.
func demo(args []string, world *outside.World, out io.Writer) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	once := slices.Equal(args, []string{"-once"})
	if len(args) > 0 && !once {
		return exitf(1, "Usage: exigo demo [-once]")
	}
	folder, err := os.MkdirTemp("", "exigo-demo-")
	if err != nil {
		return err
	}
	if once {
		defer os.RemoveAll(folder)
	}
	port, err := freePort()
	if err != nil {
		return fmt.Errorf("no port to listen on: %w", err)
	}
	files := map[string]string{
		"exigo.conf": strings.NewReplacer("FOLDER", folder, "PORT", fmt.Sprint(port)).Replace(demoConfiguration),
		"aliases":    "abuse: postmaster\nhostmaster: postmaster\n",
		"users":      "demo: demo\npostmaster: postmaster\n",
	}
	if files["certificate.pem"], err = demoCertificate(world.Clock.Now()); err != nil {
		return err
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	conf := filepath.Join(folder, "exigo.conf")
	fmt.Fprintf(out, "folder         %s\nconfiguration  %s\nlistening      127.0.0.1:%d\n\n", folder, conf, port)
	server, err := catalog.Load(ctx, catalog.Request{World: world, Path: conf, Stderr: out, Unprivileged: true})
	if err != nil {
		return err
	}
	done := make(chan error, 1)
	a := &Arguments{Mode: ModeDaemon}
	d := &Daemon{Program: &Program{World: world, Server: server, Stdout: out, Stderr: out, Arguments: a}, Server: server, Arguments: a}
	go func() { done <- d.Run(ctx) }()
	if err := demoMessage(ctx, port, out); err != nil {
		stop()
		return errors.Join(err, <-done)
	}
	if err := showArrival(ctx, folder, out); err != nil {
		stop()
		return errors.Join(err, <-done)
	}
	if once {
		stop()
		return <-done
	}
	fmt.Fprintf(out, "\nThe server goes on. Send it mail:  swaks --server 127.0.0.1:%d --from you@example.org --to demo@demo.localhost\nInterrupt with Ctrl-C; the folder stays.\n", port)
	return <-done
}

// demoCertificate makes a certificate with its key, in PEM, that signs itself.
func demoCertificate(now time.Time) (string, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "demo.localhost"}, DNSNames: []string{"demo.localhost"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(1, 0, 0), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return "", err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return "", err
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate})
	return string(append(text, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})...)), nil
}

// freePort finds a TCP port on loopback that nobody listens on.
func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// demoMessage is an SMTP dialogue shown as it happens.
func demoMessage(ctx context.Context, port int, out io.Writer) error {
	var c net.Conn
	var err error
	for range 100 {
		if c, err = net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port)); err == nil {
			break
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
	if err != nil {
		return fmt.Errorf("the server did not start: %w", err)
	}
	defer c.Close()
	in := bufio.NewReader(c)
	reply := func() error {
		for {
			line, err := in.ReadString('\n')
			if err != nil {
				return fmt.Errorf("the server closed the connection: %w", err)
			}
			fmt.Fprintf(out, "  < %s\n", strings.TrimSpace(line))
			if len(line) > 3 && line[3] == ' ' {
				if line[0] > '3' {
					return fmt.Errorf("the server refused: %s", strings.TrimSpace(line))
				}
				return nil
			}
		}
	}
	if err := reply(); err != nil {
		return err
	}
	message := "From: A visitor <visitor@example.org>\r\nTo: demo@demo.localhost\r\nSubject: the first message\r\n\r\nIt works.\r\n."
	for _, line := range []string{"EHLO client.example", "MAIL FROM:<visitor@example.org>", "RCPT TO:<demo@demo.localhost>", "DATA", message, "QUIT"} {
		for part := range strings.SplitSeq(line, "\r\n") {
			fmt.Fprintf(out, "  > %s\n", part)
		}
		if _, err := io.WriteString(c, line+"\r\n"); err != nil {
			return err
		}
		if err := reply(); err != nil {
			return err
		}
	}
	return nil
}

// showArrival waits for the message and shows the log and the mailbox.
func showArrival(ctx context.Context, folder string, out io.Writer) error {
	log, box := filepath.Join(folder, "log", "mainlog"), filepath.Join(folder, "mail", "demo")
	deadline := time.Now().Add(demoWait)
	for {
		text, _ := os.ReadFile(log)
		if strings.Contains(string(text), " Completed") {
			fmt.Fprintf(out, "\n%s\n", log)
			indent(out, string(text))
			break
		}
		if time.Now().After(deadline) {
			indent(out, string(text))
			return fmt.Errorf("the message did not arrive within %s; see %s", demoWait, log)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
	mailbox, err := os.ReadFile(box)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "\n%s\n", box)
	indent(out, string(mailbox))
	return nil
}

func indent(out io.Writer, text string) {
	for line := range strings.SplitSeq(strings.TrimRight(text, "\n"), "\n") {
		fmt.Fprintf(out, "  %s\n", line)
	}
}
