// Command exigo is a mail transfer agent that runs Exim's configuration. Its role comes from the name it is called by (exigo,
// exim, sendmail, mailq, runq, rmail, rsmtp, newaliases) and from its options.
//
// Trust: the command line is the caller's; what comes from the network is read in other packages.
package main

import (
	"os"

	"exigo/internal/cli"
)

func main() { os.Exit(cli.Main(os.Args)) }
