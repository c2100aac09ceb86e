// Package foreigncrds keeps in its module's files the modules from which tests take the kinds
// of other projects, of which the chart writes objects: HTTPRoute (Gateway API) and
// ServiceMonitor (Prometheus operator). A module of its own, for the operator needs
// neither. What is imported is as small as these modules have it, and is not used.
package foreigncrds

import (
	_ "github.com/prometheus-operator/prometheus-operator/example"
	_ "sigs.k8s.io/gateway-api/pkg/consts"
)
