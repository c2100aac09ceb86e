package controlplane

import (
	"context"
	"fmt"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// tokenLifetime is how long a service account's token is good: longer than
// anything here runs, so that nothing needs to renew it.
const tokenLifetime = 30 * 24 * time.Hour

// Admin returns the configuration of a member of system:masters, who passes RBAC
// but not admission. The caller owns the copy.
func (c *ControlPlane) Admin() *rest.Config { return rest.CopyConfig(c.admin) }

// User returns the configuration of a user with a certificate of the cluster's
// authority, valid as long as the authority. A user has the rights that RBAC
// gives the name and the groups, and those of system:authenticated.
func (c *ControlPlane) User(name string, groups ...string) *rest.Config {
	p, err := c.state.cluster.client(name, groups)
	if err != nil {
		// The authority was checked when it was loaded and the subject is free text.
		panic(fmt.Sprintf("issuing a certificate for user %q: %v", name, err))
	}
	cfg := c.anonymous()
	cfg.CertData, cfg.KeyData = p.cert, p.key
	return cfg
}

// ServiceAccount returns the configuration of a service account with a token of
// 30 days. The namespace and the service account are created when they are missing.
func (c *ControlPlane) ServiceAccount(ctx context.Context, namespace, name string) (*rest.Config, error) {
	client, err := kubernetes.NewForConfig(c.admin)
	if err != nil {
		return nil, fmt.Errorf("getting a token for service account %s/%s: %w", namespace, name, err)
	}
	_, err = client.CoreV1().Namespaces().Create(ctx,
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}, metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return nil, fmt.Errorf("creating namespace %s: %w", namespace, err)
	}
	accounts := client.CoreV1().ServiceAccounts(namespace)
	_, err = accounts.Create(ctx, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return nil, fmt.Errorf("creating service account %s/%s: %w", namespace, name, err)
	}
	seconds := int64(tokenLifetime / time.Second)
	token, err := accounts.CreateToken(ctx, name, &authenticationv1.TokenRequest{
		Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: &seconds},
	}, metav1.CreateOptions{})
	if err != nil {
		return nil, fmt.Errorf("getting a token for service account %s/%s: %w", namespace, name, err)
	}
	cfg := c.anonymous()
	cfg.BearerToken = token.Status.Token
	return cfg, nil
}

// anonymous is where the API server is and how it proves itself.
func (c *ControlPlane) anonymous() *rest.Config {
	return &rest.Config{
		Host:            "https://" + loopback(c.state.ports.APIServer),
		TLSClientConfig: rest.TLSClientConfig{CAData: c.state.cluster.pem},
		// The API server limits its callers itself.
		QPS: -1,
	}
}

// WriteKubeconfig writes a configuration of this control plane as a file that
// kubectl and every other client reads. The file holds the credentials themselves and is
// readable by its owner only.
func (c *ControlPlane) WriteKubeconfig(path string, cfg *rest.Config) error {
	if err := writeKubeconfig(path, cfg); err != nil {
		return fmt.Errorf("writing the kubeconfig %s: %w", path, err)
	}
	return nil
}

func writeKubeconfig(path string, cfg *rest.Config) error {
	const name = "miniprogram"
	data, err := clientcmd.Write(clientcmdapi.Config{
		Clusters: map[string]*clientcmdapi.Cluster{name: {
			Server:                   cfg.Host,
			CertificateAuthorityData: cfg.CAData,
		}},
		AuthInfos: map[string]*clientcmdapi.AuthInfo{name: {
			ClientCertificateData: cfg.CertData,
			ClientKeyData:         cfg.KeyData,
			Token:                 cfg.BearerToken,
			Impersonate:           cfg.Impersonate.UserName,
			ImpersonateGroups:     cfg.Impersonate.Groups,
		}},
		Contexts:       map[string]*clientcmdapi.Context{name: {Cluster: name, AuthInfo: name}},
		CurrentContext: name,
	})
	if err != nil {
		return err
	}
	return writeFile(path, data)
}
