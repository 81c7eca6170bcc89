using System.Numerics;

namespace Dbt.Translator.Memory;

/// <summary>
/// Which machine frames were written, for as long as somebody wants to know: one bit a frame. Who fills a write entry of a software TLB marks
/// the frame before, and under the lock under which entries are dropped; everybody else who writes guest memory marks after the bytes have
/// changed. So who takes bits, then drops the write entries, then waits until no processor can have an old one in hand, has missed nothing
/// that was written before. Thread-safe.
/// </summary>
public sealed class DirtyLog
{
    private const int WordBits = 64;

    private readonly ulong[] _words;
    private readonly uint _frames;
    private int _users;

    /// <param name="frames">Number of machine frames.</param>
    public DirtyLog(uint frames)
    {
        _frames = frames;
        _words = new ulong[(frames + WordBits - 1) / WordBits];
    }

    /// <summary>Whether writes are to be marked.</summary>
    public bool IsOn => Volatile.Read(ref _users) != 0;

    /// <summary>Turns it on for one more who wants to know.</summary>
    public void Enter() => Interlocked.Increment(ref _users);

    /// <summary>Ends one <see cref="Enter"/>.</summary>
    public void Leave() => Interlocked.Decrement(ref _users);

    /// <summary>Marks a frame.</summary>
    public void Mark(uint frame)
    {
        if (frame < _frames)
        {
            // No look at the bit before: it could come before the write that it is to tell of.
            Interlocked.Or(ref _words[frame / WordBits], 1UL << (int)(frame % WordBits));
        }
    }

    /// <summary>Marks the frames of a range of the machine's memory, given by its distance from frame 0; what is beyond the machine is left out.</summary>
    internal void Mark(ulong start, int length)
    {
        for (ulong frame = start >> 12; frame < _frames && frame << 12 < start + (ulong)length; frame++)
        {
            Mark((uint)frame);
        }
    }

    /// <summary>Takes the marks off all frames that are wanted.</summary>
    /// <param name="end">Only frames below it are looked at.</param>
    /// <param name="isWanted">Which are wanted; asked of marked frames alone.</param>
    /// <param name="taken">Where the frames are added, in rising order.</param>
    public void Take(uint end, Func<uint, bool> isWanted, List<uint> taken)
    {
        uint words = (Math.Min(end, _frames) + WordBits - 1) / WordBits;
        for (uint word = 0; word < words; word++)
        {
            ulong mine = 0;
            for (ulong left = Volatile.Read(ref _words[word]); left != 0; left &= left - 1)
            {
                uint frame = (word * WordBits) + (uint)BitOperations.TrailingZeroCount(left);
                if (isWanted(frame))
                {
                    mine |= left & (0 - left);
                    taken.Add(frame);
                }
            }

            if (mine != 0)
            {
                Interlocked.And(ref _words[word], ~mine);
            }
        }
    }
}
