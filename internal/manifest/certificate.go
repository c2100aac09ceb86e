package manifest

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"os"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
)

// certificatePair is a certificate and its key, in files that may be replaced.
type certificatePair struct {
	certFile, keyFile string
	current           atomic.Pointer[tls.Certificate]
	// text is what the files had; for one goroutine only.
	text []byte
}

func loadPair(certFile, keyFile string) (*certificatePair, error) {
	p := &certificatePair{certFile: certFile, keyFile: keyFile}
	_, err := p.reload()
	return p, err
}

// reload reads the files, and tells whether they have a new pair. After an error
// the old one stays.
func (p *certificatePair) reload() (bool, error) {
	cert, err := os.ReadFile(p.certFile)
	if err != nil {
		return false, fmt.Errorf("reading the TLS certificate: %w", err)
	}
	key, err := os.ReadFile(p.keyFile)
	if err != nil {
		return false, fmt.Errorf("reading the TLS key: %w", err)
	}
	text := bytes.Join([][]byte{cert, key}, []byte{0})
	if bytes.Equal(text, p.text) {
		return false, nil
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return false, fmt.Errorf("reading the TLS certificate %s and its key %s: %w", p.certFile, p.keyFile, err)
	}
	p.current.Store(&pair)
	p.text = text
	return true, nil
}

func (p *certificatePair) reloadUntil(ctx context.Context, every time.Duration, log logr.Logger) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			switch changed, err := p.reload(); {
			case err != nil:
				log.Error(err, "The TLS certificate cannot be read again; the one from before stays.")
			case changed:
				log.Info("The TLS certificate changed.")
			}
		}
	}
}

// get is tls.Config's GetCertificate.
func (p *certificatePair) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	return p.current.Load(), nil
}
