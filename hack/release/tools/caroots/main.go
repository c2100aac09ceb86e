// Command caroots writes the certificate authorities of Mozilla's root program, as
// PEM. They come with a Go module, and not from the machine that builds a release:
// two machines then build the same image. Authorities that Mozilla trusts under a
// condition only are left out, for PEM cannot say the condition.
package main

import (
	"bufio"
	"encoding/pem"
	"errors"
	"fmt"
	"os"

	"golang.org/x/crypto/x509roots/fallback/bundle"
)

func main() {
	if err := write(); err != nil {
		fmt.Fprintln(os.Stderr, "caroots:", err)
		os.Exit(1)
	}
}

func write() error {
	out := bufio.NewWriter(os.Stdout)
	count := 0
	for root := range bundle.Roots() {
		if root.Constraint != nil {
			continue
		}
		if err := pem.Encode(out, &pem.Block{Type: "CERTIFICATE", Bytes: root.Certificate}); err != nil {
			return err
		}
		count++
	}
	if count == 0 {
		return errors.New("the module has no certificate authority")
	}
	return out.Flush()
}
