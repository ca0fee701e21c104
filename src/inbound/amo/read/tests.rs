//! Bodies as amoCRM sends them, and as somebody else might.

use super::*;
use rstest::rstest;

fn read(body: &str) -> Hints {
    AmoReader.hints(body.as_bytes()).expect("it can be read")
}

fn ids(body: &str) -> (Vec<u64>, Vec<u64>, Vec<&'static str>) {
    let hints = read(body);
    (
        hints.contacts.iter().map(|id| id.0).collect(),
        hints.leads.iter().map(|id| id.0).collect(),
        hints.passed_over.into_iter().collect(),
    )
}

const ACCOUNT: &str = "account[subdomain]=acme&account[id]=9&account[_links][self]=https%3A%2F%2Facme.amocrm.ru&";

#[rstest]
#[case::added("contacts[add][0][id]=101&contacts[add][0][type]=contact", &[101], &[], &[])]
#[case::encoded("contacts%5Bupdate%5D%5B0%5D%5Bid%5D=101&contacts%5Bupdate%5D%5B0%5D%5Bname%5D=A+B", &[101], &[], &[])]
#[case::company("contacts[update][0][id]=55&contacts[update][0][type]=company", &[], &[], &["companies"])]
#[case::both_under_contacts(
    "contacts[update][0][id]=55&contacts[update][0][type]=company&contacts[update][1][id]=101", &[101], &[], &["companies"]
)]
#[case::deleted_as_a_list("contacts[delete][0][id]=101&contacts[delete][0][type]=contact", &[101], &[], &[])]
#[case::deleted_as_an_id("contacts[delete]=101", &[101], &[], &[])]
#[case::deleted_as_ids("leads[delete][0]=301&leads[delete][4]=302", &[], &[301, 302], &[])]
#[case::deleted_in_json(r#"{"contacts":{"delete":"101"}}"#, &[101], &[], &[])]
#[case::deleted_in_json_by_number(r#"{"leads":{"delete":{"id":301}}}"#, &[], &[301], &[])]
#[case::json(r#"{"leads":{"status":[{"id":"301","status_id":"142"}]},"account":{"id":"9"}}"#, &[], &[301], &[])]
#[case::stage("leads[status][0][id]=301&leads[status][0][status_id]=142&leads[status][0][old_status_id]=1001", &[], &[301], &[])]
#[case::responsible("leads[responsible][0][id]=301&leads[responsible][0][old_responsible_user_id]=7", &[], &[301], &[])]
#[case::pipeline("leads[add][0][id]=301&leads[add][0][status_id]=1001&leads[add][0][pipeline_id]=61", &[], &[301], &[])]
#[case::several(
    "contacts[add][0][id]=1&contacts[update][0][id]=2&contacts[update][3][id]=3&leads[add][0][id]=4&leads[restore][0][id]=5",
    &[1, 2, 3], &[4, 5], &[]
)]
#[case::linked_leads_are_not_named("contacts[add][0][id]=1&contacts[add][0][linked_leads_id][301][ID]=301", &[1], &[], &[])]
#[case::note("contacts[note][0][note][id]=9&contacts[note][0][note][element_id]=101", &[], &[], &["notes"])]
#[case::task("task[add][0][id]=9&task[add][0][element_id]=101&task[add][0][element_type]=1", &[], &[], &["tasks"])]
#[case::customers("customers[add][0][id]=9", &[], &[], &["customers"])]
#[case::talk_and_message("talk[add][0][talk_id]=9&message[add][0][element_id]=301", &[], &[], &["messages", "talks"])]
#[case::unsorted("unsorted[delete][0][action]=accept&unsorted[delete][0][accept_result][leads][0]=301", &[], &[], &["unsorted"])]
#[case::type_that_is_a_branch_too("contacts[update][0][type]=contact&contacts[update][0][type][uuid]=x&contacts[update][0][id]=1", &[1], &[], &[])]
#[case::bad_utf8("contacts[update][0][name]=%F0%9F%98&contacts[update][0][id]=1&contacts[%FF][0][id]=2", &[1, 2], &[], &[])]
#[case::no_ids("leads[add][0][id]=0&leads[add][1][id]=-5&leads[add][2][id]=x&leads[add][3][id]=18446744073709551615", &[], &[], &[])]
fn what_a_body_names(#[case] body: &str, #[case] contacts: &[u64], #[case] leads: &[u64], #[case] other: &[&str]) {
    assert_eq!(ids(body), (contacts.to_vec(), leads.to_vec(), other.to_vec()));
    if !body.starts_with('{') {
        assert_eq!(ids(&format!("{ACCOUNT}{body}")), ids(body), "the account is of no concern");
    }
}

#[rstest]
#[case("", "the body is empty")]
#[case("\u{feff}  ", "the body is empty")]
#[case("hello", "at the body: nothing that amoCRM sends")]
#[case(r#"{"message":"hello"#, "at the body: at line 1 column 17: no JSON")]
#[case("[1,2]", "at the body: nothing that amoCRM sends")]
#[case("<html>secret words</html>", "at the body: nothing that amoCRM sends")]
fn what_cannot_be_read_is_said_without_its_words(#[case] body: &str, #[case] reason: &str) {
    assert_eq!(AmoReader.hints(body.as_bytes()), Err(reason.to_owned()));
}
