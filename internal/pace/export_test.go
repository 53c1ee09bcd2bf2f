package pace

var LowerMedian = lowerMedian
