import CHiredis
import ChannelLayer
import CryptoExtras
import NIOSSL
