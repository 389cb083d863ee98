//! Who issues the certificate of the host that kurz is called by.

use serde_json::Value;

use crate::rendering::{Rendering, list, name, text};
use crate::rule::{expect, of_kind, rule};

const ISSUER: &str = "cert-manager.io/cluster-issuer";

rule! {
    the_door_has_a_certificate: |kurz| {
        let mut faults = of_kind(kurz, "Ingress", |ingress, faults| {
            let issuer = text(&ingress["metadata"]["annotations"][ISSUER]);
            expect(kurz.find("ClusterIssuer", issuer).is_some(), faults, format!("no issuer {issuer}"));
            expect(!text(&ingress["spec"]["ingressClassName"]).is_empty(), faults, "any controller may take it");
            let secured: Vec<_> = list(&ingress["spec"]["tls"]).iter().filter(|tls| tls["secretName"].is_string()).collect();
            for rule in list(&ingress["spec"]["rules"]) {
                let is_secured = secured.iter().any(|tls| list(&tls["hosts"]).contains(&rule["host"]));
                expect(is_secured, faults, format!("no certificate for {}", rule["host"]));
            }
        });
        faults.extend(of_kind(kurz, "Gateway", |gateway, faults| {
            let issuer = text(&gateway["metadata"]["annotations"][ISSUER]);
            expect(kurz.find("ClusterIssuer", issuer).is_some(), faults, format!("no issuer {issuer}"));
            for listener in list(&gateway["spec"]["listeners"]) {
                let secured = !list(&listener["tls"]["certificateRefs"]).is_empty();
                expect(secured == (listener["protocol"] == "HTTPS"), faults, format!("no certificate in {listener}"));
            }
        }));
        let doors = kurz.of_kind("Ingress").count() + kurz.of_kind("Gateway").count();
        expect(doors == 1, &mut faults, format!("{doors} doors"));
        faults
    };
    breaks "production" "Ingress" "kurz" "/metadata/annotations/cert-manager.io~1cluster-issuer" "other";
    breaks "production" "Ingress" "kurz" "/spec/tls/0/secretName" null;
    breaks "production" "Ingress" "kurz" "/spec/tls/0/hosts/0" "other.test";
    breaks "production" "Ingress" "kurz" "/spec/ingressClassName" null;
    breaks "production" "Ingress" "kurz" "/kind" "Other";
    breaks "gateway-api" "Gateway" "kurz" "/metadata/annotations/cert-manager.io~1cluster-issuer" "other";
    breaks "gateway-api" "Gateway" "kurz" "/spec/listeners/1/tls/certificateRefs" [];
}

rule! {
    issuers_have_what_they_need: |kurz| {
        let mut faults = of_kind(kurz, "ClusterIssuer", |issuer, faults| {
            let authority = &issuer["spec"]["ca"]["secretName"];
            // ClusterIssuers look into cert-manager's namespace only.
            let mut certificates = kurz.of_kind("Certificate").filter(|one| one["metadata"]["namespace"] == "cert-manager");
            let is_made = certificates.any(|one| one["spec"]["secretName"] == *authority && one["spec"]["isCA"] == true);
            expect(authority.is_null() || is_made, faults, format!("nobody makes {authority}"));
            for solver in list(&issuer["spec"]["acme"]["solvers"]) {
                expect(reaches_the_door(kurz, &solver["http01"]), faults, "its solver is behind another door");
            }
        });
        faults.extend(of_kind(kurz, "Certificate", |certificate, faults| {
            let issuer = text(&certificate["spec"]["issuerRef"]["name"]);
            expect(kurz.find("ClusterIssuer", issuer).is_some(), faults, format!("no issuer {issuer}"));
        }));
        faults
    };
    breaks "local" "ClusterIssuer" "kurz-ca" "/spec/ca/secretName" "other";
    breaks "local" "Certificate" "kurz-ca" "/metadata/namespace" "kurz";
    breaks "local" "Certificate" "kurz-ca" "/spec/issuerRef/name" "other";
    breaks "production" "ClusterIssuer" "letsencrypt-staging" "/spec/acme/solvers/0/http01/ingress/ingressClassName" "other";
    breaks "gateway-api" "ClusterIssuer" "letsencrypt-staging" "/spec/acme/solvers/0/http01/gatewayHTTPRoute/parentRefs/0/sectionName" "https";
}

/// Whether what a solver answers comes in by the same door, without TLS.
fn reaches_the_door(kurz: &Rendering, solver: &Value) -> bool {
    let class = &solver["ingress"]["ingressClassName"];
    let mut ingresses = kurz.of_kind("Ingress");
    if !class.is_null() {
        return ingresses.any(|ingress| ingress["spec"]["ingressClassName"] == *class);
    }
    let parents = list(&solver["gatewayHTTPRoute"]["parentRefs"]);
    !parents.is_empty()
        && parents.iter().all(|parent| {
            let mut gateways = kurz
                .of_kind("Gateway")
                .filter(|gateway| parent["name"] == name(gateway));
            gateways.any(|gateway| {
                let mut listeners = list(&gateway["spec"]["listeners"]).iter();
                listeners
                    .any(|one| one["name"] == parent["sectionName"] && one["protocol"] == "HTTP")
            })
        })
}

rule! {
    everything_answers_to_the_host_of_the_public_url: |kurz| {
        let url = kurz.find("ConfigMap", "common").map(|common| text(&common["data"]["KURZ_PUBLIC_URL"]));
        let host = url.and_then(|url| url.strip_prefix("https://")).unwrap_or_default();
        let named = |object: &Value, faults: &mut Vec<String>| {
            let spec = &object["spec"];
            let mut hosts: Vec<&Value> = list(&spec["hostnames"]).iter().collect();
            hosts.extend(list(&spec["rules"]).iter().filter(|_| object["kind"] == "Ingress").map(|rule| &rule["host"]));
            hosts.extend(list(&spec["tls"]).iter().flat_map(|tls| list(&tls["hosts"])));
            hosts.extend(list(&spec["listeners"]).iter().map(|listener| &listener["hostname"]));
            expect(!hosts.is_empty(), faults, "no host");
            for other in hosts.iter().filter(|other| **other != host) {
                faults.push(format!("{other} is not {host}"));
            }
        };
        ["Ingress", "Gateway", "HTTPRoute"].iter().flat_map(|kind| of_kind(kurz, kind, named)).collect()
    };
    breaks "production" "ConfigMap" "common" "/data/KURZ_PUBLIC_URL" "https://other.test";
    breaks "production" "ConfigMap" "common" "/data/KURZ_PUBLIC_URL" "http://kurz.example.com";
    breaks "production" "Ingress" "kurz" "/spec/rules/0/host" null;
    breaks "gateway-api" "HTTPRoute" "kurz-to-https" "/spec/hostnames/0" "other.test";
}
