!function(n){var o;o=n.wx,(n.lib={}).turn=function(n){o.startGyroscope({interval:"ui"}),o.onGyroscopeChange(n)}}(globalThis);
