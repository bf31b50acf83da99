import RabbitMQLayer
import Testing
