import RedisLayer
import Testing
