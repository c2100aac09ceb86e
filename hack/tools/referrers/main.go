// Command referrers is an OCI registry with the referrers API that keeps
// everything in memory. Tests use it beside the distribution registry, which
// has no referrers API: clients must work with both.
//
// It listens on the loopback address of its only flag until it is killed.
package main

import (
	"flag"
	"log"
	"net/http"
	"time"

	"cuelabs.dev/go/oci/ociregistry/ocimem"
	"cuelabs.dev/go/oci/ociregistry/ociserver"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:5000", "address to listen on, as host:port")
	flag.Parse()

	server := &http.Server{
		Addr:              *listen,
		Handler:           ociserver.New(ocimem.New(), nil),
		ReadHeaderTimeout: 10 * time.Second,
	}
	log.Printf("listening on %s", *listen)
	log.Fatal(server.ListenAndServe())
}
