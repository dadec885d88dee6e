//! Tollgate.
pub mod domain;
pub mod proto;
#[cfg(feature = "seeded-bugs")]
pub mod seeded;
pub mod state;
pub mod store;
pub mod wire;
/// watch
pub mod watch { 
/// frame
#[derive(Clone, Debug, Default, PartialEq)] pub struct Frame(pub bytes::Bytes);
impl prost::Message for Frame {
 fn encode_raw(&self, b: &mut impl bytes::BufMut){ b.put_slice(&self.0) }
 fn merge_field(&mut self,_:u32,_:prost::encoding::WireType,_:&mut impl bytes::Buf,_:prost::encoding::DecodeContext)->Result<(),prost::DecodeError>{ Ok(()) }
 fn encoded_len(&self)->usize{ self.0.len() }
 fn clear(&mut self){}
}}
