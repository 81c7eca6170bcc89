namespace Dbt.Devices.Network.Nat;

/// <summary>One deadline of a <see cref="TimerQueue"/>.</summary>
/// <param name="expired">Called once when it has passed.</param>
internal sealed class NatTimer(Action expired)
{
    /// <summary>When it expires; <see cref="long.MaxValue"/> for never.</summary>
    public long Due { get; internal set; } = long.MaxValue;

    /// <summary>What the heap goes by: never later than <see cref="Due"/>.</summary>
    internal long Key { get; set; }

    /// <summary>Its place in the heap; negative where it isn't there.</summary>
    internal int Place { get; set; } = -1;

    internal Action Expired => expired;
}

/// <summary>
/// Deadlines in milliseconds, a binary heap. Moving one to a later time, which every segment does, changes a number only: the heap finds
/// out when the earlier time comes. Where there are none, nobody wakes.
/// </summary>
internal sealed class TimerQueue
{
    private readonly List<NatTimer> _heap = [];

    /// <summary>Timers that wait.</summary>
    public int Count => _heap.Count;

    /// <summary>When to look next; <see cref="long.MaxValue"/> for never. May be too early, never too late.</summary>
    public long Next => _heap.Count == 0 ? long.MaxValue : _heap[0].Key;

    /// <summary>Sets a timer, anew where it is set already.</summary>
    public void Set(NatTimer timer, long due)
    {
        timer.Due = due;
        if (timer.Place < 0)
        {
            timer.Key = due;
            timer.Place = _heap.Count;
            _heap.Add(timer);
            Up(timer.Place);
        }
        else if (due < timer.Key)
        {
            timer.Key = due;
            Up(timer.Place);
        }
    }

    /// <summary>Takes a timer out; nothing where it isn't set.</summary>
    public void Cancel(NatTimer timer)
    {
        timer.Due = long.MaxValue;
        int place = timer.Place;
        if (place < 0)
        {
            return;
        }

        timer.Place = -1;
        NatTimer last = _heap[^1];
        _heap.RemoveAt(_heap.Count - 1);
        if (last != timer)
        {
            Put(last, place);
            Up(place);
            Down(last.Place);
        }
    }

    /// <summary>Calls what has expired.</summary>
    public void Run(long now)
    {
        while (_heap.Count > 0 && _heap[0].Key <= now)
        {
            NatTimer timer = _heap[0];
            if (timer.Due > now)
            {
                timer.Key = timer.Due;
                Down(0);
                continue;
            }

            Cancel(timer);
            timer.Expired();
        }
    }

    private void Put(NatTimer timer, int place)
    {
        _heap[place] = timer;
        timer.Place = place;
    }

    private void Up(int place)
    {
        NatTimer timer = _heap[place];
        for (int parent = (place - 1) / 2; place > 0 && timer.Key < _heap[parent].Key; parent = (place - 1) / 2)
        {
            Put(_heap[parent], place);
            place = parent;
        }

        Put(timer, place);
    }

    private void Down(int place)
    {
        NatTimer timer = _heap[place];
        while (true)
        {
            int child = (2 * place) + 1;
            if (child + 1 < _heap.Count && _heap[child + 1].Key < _heap[child].Key)
            {
                child++;
            }

            if (child >= _heap.Count || _heap[child].Key >= timer.Key)
            {
                break;
            }

            Put(_heap[child], place);
            place = child;
        }

        Put(timer, place);
    }
}
