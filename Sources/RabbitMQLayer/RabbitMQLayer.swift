import CAMQPSupport
import CRabbitMQ
import ChannelLayer
