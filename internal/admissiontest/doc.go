// Package admissiontest tests what an installation allows and whom, on a real
// API server: the rights of config/rbac, the policies of config/admission and
// the rules in the kinds of config/crd, installed from config/install and asked
// by users with certificates of their own. It has no code but its tests.
package admissiontest
