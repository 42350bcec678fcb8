package radius

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Config is the configuration of a RADIUS client as the radiusclient libraries have it.
type Config struct {
	Servers []Server
	Timeout time.Duration
	Retries int
}

// Server is one to be asked, in order.
type Server struct{ Host, Port, Secret string }

// ReadConfig reads the client's file ("authserver host[:port[:secret]]", "servers file", "radius_timeout n", "radius_retries n") and the
// file of secrets that it names.
func ReadConfig(path string) (*Config, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	c := &Config{Timeout: 10 * time.Second, Retries: 3}
	secrets := ""
	for line := range strings.Lines(string(data)) {
		words := strings.Fields(strings.SplitN(line, "#", 2)[0])
		if len(words) < 2 {
			continue
		}
		switch value := words[1]; words[0] {
		case "authserver":
			for _, text := range strings.Split(strings.Join(words[1:], ","), ",") {
				if s, ok := server(text); ok {
					c.Servers = append(c.Servers, s)
				}
			}
		case "servers":
			secrets = value
		case "radius_timeout":
			if n, err := strconv.Atoi(value); err == nil && n > 0 && n <= 300 {
				c.Timeout = time.Duration(n) * time.Second
			}
		case "radius_retries":
			if n, err := strconv.Atoi(value); err == nil && n >= 0 && n <= 20 {
				c.Retries = n
			}
		}
	}
	if len(c.Servers) == 0 {
		return nil, errors.New("no authserver in " + path)
	}
	if secrets != "" {
		if !filepath.IsAbs(secrets) {
			secrets = filepath.Join(filepath.Dir(path), secrets)
		}
		err = c.secrets(secrets)
	}
	return c, err
}

// server reads host, host:port, host:port:secret and [host]:port.
func server(text string) (s Server, ok bool) {
	s.Port = "1812"
	if rest, bracket := strings.CutPrefix(text, "["); bracket {
		s.Host, text, _ = strings.Cut(rest, "]")
	} else if net.ParseIP(text) != nil {
		s.Host, text = text, ""
	} else {
		at := strings.IndexByte(text+":", ':')
		s.Host, text = text[:at], text[at:]
	}
	parts := strings.SplitN(strings.TrimPrefix(text, ":"), ":", 2)
	if parts[0] != "" {
		s.Port = parts[0]
	}
	if len(parts) > 1 {
		s.Secret = parts[1]
	}
	return s, s.Host != ""
}

// secrets reads lines "host secret" for the servers that have none yet.
func (c *Config) secrets(path string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(data)) {
		words := strings.Fields(line)
		if len(words) < 2 || strings.HasPrefix(words[0], "#") {
			continue
		}
		name, _, _ := strings.Cut(words[0], "/")
		for i := range c.Servers {
			if c.Servers[i].Secret == "" && strings.EqualFold(c.Servers[i].Host, name) {
				c.Servers[i].Secret = words[1]
			}
		}
	}
	return nil
}
