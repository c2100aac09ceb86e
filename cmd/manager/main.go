// Command manager runs the controllers: it packages versions, asks for reviews,
// and carries rollouts through their steps.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"time"
	_ "time/tzdata" // calendars name time zones, and the image has none

	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/internal/buildinfo"
	"github.com/miniprogram-dev/miniprogram-operator/internal/bundle"
	"github.com/miniprogram-dev/miniprogram-operator/internal/controller"
	"github.com/miniprogram-dev/miniprogram-operator/internal/ledger"
	"github.com/miniprogram-dev/miniprogram-operator/internal/signing"
	"github.com/miniprogram-dev/miniprogram-operator/internal/source"
)

// version is stamped in at build time.
var version = "dev"

func main() {
	var o options
	o.bind(flag.CommandLine)
	logs := zap.Options{}
	logs.BindFlags(flag.CommandLine)
	printVersion := flag.Bool("version", false, "print the version and exit")
	flag.Parse()
	if *printVersion {
		fmt.Println(buildinfo.Line("manager", version))
		return
	}
	ctrl.SetLogger(zap.New(zap.UseFlagOptions(&logs)))
	if err := run(ctrl.SetupSignalHandler(), o); err != nil {
		ctrl.Log.Error(err, "the manager ends")
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) error {
	if err := o.validate(); err != nil {
		return err
	}
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			return err
		}
	}
	config, err := ctrl.GetConfig()
	if err != nil {
		return fmt.Errorf("finding the cluster: %w", err)
	}
	kept, err := controller.CacheByObject(o.publicationNamespace)
	if err != nil {
		return err
	}
	mgr, err := ctrl.NewManager(config, ctrl.Options{
		Scheme:                        scheme,
		Cache:                         cache.Options{ByObject: kept},
		Metrics:                       metricsserver.Options{BindAddress: o.metricsAddr},
		HealthProbeBindAddress:        o.probeAddr,
		LeaderElection:                o.leaderElect,
		LeaderElectionID:              "miniprogram-manager",
		LeaderElectionNamespace:       o.namespace,
		LeaderElectionReleaseOnCancel: true,
	})
	if err != nil {
		return fmt.Errorf("starting: %w", err)
	}
	if err := setup(ctx, mgr, o); err != nil {
		return err
	}
	for _, add := range []func(string, healthz.Checker) error{mgr.AddHealthzCheck, mgr.AddReadyzCheck} {
		if err := add("ping", healthz.Ping); err != nil {
			return err
		}
	}
	return mgr.Start(ctx)
}

func setup(ctx context.Context, mgr ctrl.Manager, o options) error {
	// Past the cache: one Secret and one ConfigMap of the manager's own namespace.
	direct, err := client.New(mgr.GetConfig(), client.Options{Scheme: mgr.GetScheme()})
	if err != nil {
		return err
	}
	guard, err := o.guard()
	if err != nil {
		return err
	}
	signatures, err := o.signatures()
	if err != nil {
		return err
	}
	guards, err := o.guardrails(direct)
	if err != nil {
		return err
	}
	limits := bundle.DefaultLimits()
	limits.ArchiveBytes = o.maxBundleBytes
	agent := "miniprogram-manager/" + version
	transport := source.NewTransport(guard)
	fetch := source.Limits{Dir: o.tempDir, MaxBytes: o.maxBundleBytes}
	artifacts, err := o.artifacts(agent)
	if err != nil {
		return err
	}
	shared := controller.Shared{
		Client: mgr.GetClient(), Live: mgr.GetAPIReader(), Events: mgr.GetEventRecorder("miniprogram-manager"),
		Namespace: o.namespace, PublicationNamespace: o.publicationNamespace, ManifestURL: o.manifestURL, RunURL: o.runURL,
		Ledger: &ledger.Ledger{Client: mgr.GetClient(), Namespace: o.publicationNamespace},
		Keys: &signing.Keys{
			Client: direct, Namespace: o.namespace, Name: o.signingSecret, TrustedName: o.trustedKeys,
			PublicationNamespace: o.publicationNamespace, Times: o.keyTimes, Now: time.Now,
		},
		Enforcement: controller.NewEnforcement(direct, mgr.GetCache(), o.namespace, o.publicationNamespace),
		Pace:        controller.NewPace(o.writesPerSecond),
		Guards:      guards,
		Now:         time.Now,
	}
	if o.journal {
		shared.Journal = &controller.Journal{Registry: artifacts}
	}
	return controller.Setup(ctx, mgr, &controller.MiniProgramVersionReconciler{
		Shared: shared, Registry: artifacts, Limits: limits, TempDir: o.tempDir, Packer: agent, Concurrency: o.concurrency,
		HTTP: source.NewHTTP(transport, fetch, agent),
		OCI:  source.NewOCI(transport, fetch, agent, artifacts.Place()), Signatures: signatures,
	})
}
