# What scheduler and workers share; sourced by both. With GENRE_DASK_CERTS, the folder that holds
# cert.pem and key.pem on every machine, everything is encrypted and nobody without the key gets in.
protocol=tcp
if [ -n "${GENRE_DASK_CERTS:-}" ]; then
  protocol=tls
  export DASK_DISTRIBUTED__COMM__REQUIRE_ENCRYPTION=True
  export DASK_DISTRIBUTED__COMM__TLS__CA_FILE="$GENRE_DASK_CERTS/cert.pem"
  for who in SCHEDULER WORKER CLIENT; do
    export "DASK_DISTRIBUTED__COMM__TLS__${who}__CERT=$GENRE_DASK_CERTS/cert.pem"
    export "DASK_DISTRIBUTED__COMM__TLS__${who}__KEY=$GENRE_DASK_CERTS/key.pem"
  done
fi
