package controlplane

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"time"
)

// lifetime of every certificate. Nothing renews them: a state folder older than
// this has to be removed.
const lifetime = 10 * 365 * 24 * time.Hour

// pair is a certificate and its private key, both as PEM.
type pair struct{ cert, key []byte }

// authority signs certificates.
type authority struct {
	pem  []byte
	cert *x509.Certificate
	key  crypto.Signer
}

// ensureAuthority reads an authority's files, or creates them when there are
// none. The path goes without ".crt" and ".key".
func ensureAuthority(path, name string) (*authority, error) {
	if err := ensurePair(path, func() (pair, error) { return selfSigned(name) }); err != nil {
		return nil, err
	}
	p, err := readPair(path)
	if err != nil {
		return nil, err
	}
	cert, key, err := p.parse()
	if err != nil {
		return nil, fmt.Errorf("reading the certificate authority %s: %w", path, err)
	}
	return &authority{pem: p.cert, cert: cert, key: key}, nil
}

func selfSigned(name string) (pair, error) {
	template := template(pkix.Name{CommonName: name})
	template.IsCA, template.BasicConstraintsValid = true, true
	template.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature
	return issue(template, nil)
}

// server issues a certificate for a server on the loopback address.
func (a *authority) server() (pair, error) {
	template := template(pkix.Name{CommonName: "localhost"})
	template.DNSNames = []string{"localhost"}
	template.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1)}
	// etcd's gateway dials its own server and shows it the server's certificate.
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	return issue(template, a)
}

// client issues a certificate by which Kubernetes takes the bearer for the named
// user in the given groups.
func (a *authority) client(user string, groups []string) (pair, error) {
	template := template(pkix.Name{CommonName: user, Organization: groups})
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	return issue(template, a)
}

func template(subject pkix.Name) *x509.Certificate {
	now := time.Now()
	return &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()),
		Subject:      subject,
		NotBefore:    now.Add(-time.Hour), // clocks of virtual machines jump back
		NotAfter:     now.Add(lifetime),
		KeyUsage:     x509.KeyUsageDigitalSignature,
	}
}

// issue makes a key and has the template signed by the authority, or by the new
// key itself when there is none.
func issue(template *x509.Certificate, by *authority) (pair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return pair{}, fmt.Errorf("generating a key for %s: %w", template.Subject, err)
	}
	parent, signer := template, crypto.Signer(key)
	if by != nil {
		parent, signer = by.cert, by.key
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		return pair{}, fmt.Errorf("signing the certificate of %s: %w", template.Subject, err)
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return pair{}, fmt.Errorf("encoding the key of %s: %w", template.Subject, err)
	}
	return pair{
		cert: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}),
		key:  pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}),
	}, nil
}

func (p pair) parse() (*x509.Certificate, crypto.Signer, error) {
	certBlock, _ := pem.Decode(p.cert)
	keyBlock, _ := pem.Decode(p.key)
	if certBlock == nil || keyBlock == nil {
		return nil, nil, errors.New("the certificate or its key is not PEM; remove the state folder to start anew")
	}
	cert, err := x509.ParseCertificate(certBlock.Bytes)
	if err != nil {
		return nil, nil, fmt.Errorf("parsing the certificate: %w", err)
	}
	key, err := x509.ParseECPrivateKey(keyBlock.Bytes)
	if err != nil {
		return nil, nil, fmt.Errorf("parsing the key: %w", err)
	}
	return cert, key, nil
}

// ensurePair issues a pair into path+".crt" and path+".key" unless both are
// there. The certificate is written last: without it the pair is issued anew.
func ensurePair(path string, issue func() (pair, error)) error {
	if _, err := os.Stat(path + ".crt"); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	p, err := issue()
	if err != nil {
		return err
	}
	if err := writeFile(path+".key", p.key); err != nil {
		return fmt.Errorf("writing a key: %w", err)
	}
	if err := writeFile(path+".crt", p.cert); err != nil {
		return fmt.Errorf("writing a certificate: %w", err)
	}
	return nil
}

func readPair(path string) (pair, error) {
	cert, err := os.ReadFile(path + ".crt")
	if err != nil {
		return pair{}, fmt.Errorf("reading a certificate: %w", err)
	}
	key, err := os.ReadFile(path + ".key")
	if err != nil {
		return pair{}, fmt.Errorf("reading a key: %w", err)
	}
	return pair{cert: cert, key: key}, nil
}
