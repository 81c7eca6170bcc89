namespace Dbt.Devices.Network.Host;

/// <summary>Takes what was read from a descriptor.</summary>
/// <param name="message">All of it.</param>
/// <param name="sent">How much of it was taken before; the taker's own.</param>
/// <returns>False where it can't be taken now: it is held.</returns>
internal delegate bool MessageTaker(ReadOnlySpan<byte> message, ref int sent);

/// <summary>
/// Reads messages from a descriptor that doesn't wait, one at a time, and holds one that the guest has no room for. One thread's.
/// </summary>
/// <param name="descriptor">The descriptor.</param>
/// <param name="mostBytes">Most bytes of a message.</param>
/// <param name="settling">Told when all that was there is taken or held.</param>
/// <param name="take">Takes a message.</param>
internal sealed unsafe class FrameReader(int descriptor, int mostBytes, ThreadSettling settling, MessageTaker take)
{
    // So many before the thread looks at what else there is to do.
    private const int MostAtOnce = 64;

    private readonly byte[] _buffer = new byte[mostBytes];
    private int _held, _sent;

    /// <summary>Whether it holds a message, and reads no other.</summary>
    public bool IsHolding => _held != 0;

    /// <summary>Takes what is held, if it can be, and what there is to read.</summary>
    /// <param name="hasRoom">Whether there may be room for what is held.</param>
    public void Serve(bool hasRoom)
    {
        bool asked = settling.IsAsked;
        if (IsHolding && hasRoom)
        {
            Take();
        }

        bool empty = false;
        for (int i = 0; i < MostAtOnce && !IsHolding && !empty; i++)
        {
            empty = !TryRead();
            if (!empty)
            {
                Take();
            }
        }

        if (asked && (empty || IsHolding))
        {
            settling.Answer();
        }
    }

    private void Take()
    {
        if (take(_buffer.AsSpan(0, _held), ref _sent))
        {
            _held = _sent = 0;
        }
    }

    private bool TryRead()
    {
        fixed (byte* bytes = _buffer)
        {
            _held = (int)Math.Max(0, HostCalls.Read(descriptor, bytes, (nuint)_buffer.Length));
        }

        return IsHolding;
    }
}
