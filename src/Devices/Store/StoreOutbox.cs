namespace Dbt.Devices.Store;

/// <summary>
/// Messages that wait for a guest to take them. Replies are bounded because no request is read while too many wait; events are bounded
/// by dropping those that already wait, and what exceeds <see cref="StoreLimits.EventBytes"/>. Thread-safe.
/// </summary>
internal sealed partial class StoreOutbox
{
    private readonly Lock _lock = new();
    private readonly Queue<Item> _items = new();
    private readonly HashSet<(string Path, string Token)> _waitingEvents = [];
    private int _replies;
    private int _eventBytes;

    /// <summary>Raised when something was added, on the adder's thread.</summary>
    public event Action? Added;

    /// <summary>Raised when an event was lost.</summary>
    public event Action? Lost;

    /// <summary>Replies that wait.</summary>
    public int Replies
    {
        get
        {
            lock (_lock)
            {
                return _replies;
            }
        }
    }

    /// <summary>Adds a reply.</summary>
    public void AddReply(byte[] message)
    {
        lock (_lock)
        {
            _items.Enqueue(new Item(message, null));
            _replies++;
        }

        Added?.Invoke();
    }

    /// <summary>Adds a watch event, unless the same one still waits.</summary>
    public void AddEvent(string path, string token, byte[] message)
    {
        bool lost;
        lock (_lock)
        {
            if (!_waitingEvents.Add((path, token)))
            {
                return;
            }

            lost = _eventBytes + message.Length > StoreLimits.EventBytes;
            if (lost)
            {
                _waitingEvents.Remove((path, token));
            }
            else
            {
                _items.Enqueue(new Item(message, (path, token)));
                _eventBytes += message.Length;
            }
        }

        (lost ? Lost : Added)?.Invoke();
    }

    /// <summary>Takes the oldest message.</summary>
    public bool TryTake(out byte[] message)
    {
        lock (_lock)
        {
            if (!_items.TryDequeue(out Item item))
            {
                message = [];
                return false;
            }

            message = item.Message;
            if (item.Event is { } key)
            {
                _waitingEvents.Remove(key);
                _eventBytes -= message.Length;
            }
            else
            {
                _replies--;
            }

            return true;
        }
    }

    /// <summary>Forgets everything.</summary>
    public void Clear()
    {
        lock (_lock)
        {
            _items.Clear();
            _waitingEvents.Clear();
            _replies = 0;
            _eventBytes = 0;
        }
    }

    private readonly record struct Item(byte[] Message, (string Path, string Token)? Event);
}
