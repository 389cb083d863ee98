use e2e::{Stack, visit};
use reqwest::StatusCode;

#[tokio::test(flavor = "multi_thread")]
async fn two_redirectors_on_one_bus_count_together() {
    let stack = Stack::start().await;
    let ada = stack.account("ada").await;
    ada.link("both", "https://example.org/").await;
    let second = stack.another_redirector("second").await;
    for _ in 0..40 {
        assert_eq!(stack.visit("both").await.status(), StatusCode::FOUND);
        assert_eq!(visit(&second, "both").await.status(), StatusCode::FOUND);
    }
    let totals = ada.counted("both", 80).await;
    assert_eq!(totals["clicks"], 80);
    // One person, whichever redirector they came to.
    assert_eq!(totals["visitors"], 1);
    second.stop().await;
    stack.visit("both").await;
    assert_eq!(ada.counted("both", 81).await["clicks"], 81);
}
