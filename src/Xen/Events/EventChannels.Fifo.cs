using Dbt.Xen.Abi;
using Dbt.Xen.Memory;

namespace Dbt.Xen.Events;

/// <content>
/// Changing to the FIFO ABI and back, and the guest's pages that belong to it. Each is held by a reference and as a writable page, from the call that names it until
/// the reset or the domain's end (XSA-107, XSA-188): whatever the guest does with it, it stays memory of the guest's.
/// </content>
public sealed partial class EventChannels
{
    /// <summary>Whether the domain uses the FIFO ABI.</summary>
    public bool IsFifo => Volatile.Read(ref _abi) is FifoEvents;

    /// <summary>EVTCHNOP_init_control: the first control block changes to the FIFO ABI.</summary>
    /// <param name="frame">Guest's frame of the block.</param>
    /// <param name="offset">Where in it.</param>
    /// <param name="vcpu">Whose it is.</param>
    internal int InitControl(ulong frame, uint offset, uint vcpu)
    {
        if (vcpu >= Domain.Vcpus.Count)
        {
            return -Errno.ENOENT;
        }

        if (offset > Layout.PageSize - FifoEvents.ControlBlockSize || (offset & 7) != 0 || !TryTakeFrame(frame, out uint mfn))
        {
            return -Errno.EINVAL;
        }

        bool added;
        lock (_lock)
        {
            // A refusal leaves the ABI as it is (XSA-188).
            FifoEvents? before = _abi as FifoEvents;
            FifoEvents fifo = before ?? new FifoEvents(Domain);
            added = !_closed && fifo.TryAddBlock((int)vcpu, mfn, offset);
            if (added && before is null)
            {
                ChangeTo(fifo);
            }
        }

        if (!added)
        {
            Domain.Memory.PutPageAndType(mfn);
        }

        return added ? 0 : -Errno.EINVAL;
    }

    /// <summary>EVTCHNOP_expand_array: a page of event words, for the ports behind those that have theirs.</summary>
    internal int ExpandArray(ulong frame)
    {
        if (!IsFifo)
        {
            return -Errno.EOPNOTSUPP;
        }

        if (!TryTakeFrame(frame, out uint mfn))
        {
            return -Errno.EINVAL;
        }

        int error = 0;
        lock (_lock)
        {
            if (_closed || _abi is not FifoEvents fifo)
            {
                error = -Errno.EOPNOTSUPP;
            }
            else
            {
                uint port = (uint)fifo.Words;
                error = fifo.TryAddPage(mfn) ? 0 : -Errno.ENOSPC;

                // Events that came before their words.
                for (; error == 0 && port < fifo.Words && port < _ports.Length; port++)
                {
                    if (_ports[port] is { IsLatched: true } channel)
                    {
                        fifo.SetPending(port, channel);
                    }
                }
            }
        }

        if (error != 0)
        {
            Domain.Memory.PutPageAndType(mfn);
        }

        return error;
    }

    /// <summary>Back to the 2-level ABI, where the domain isn't there already; the guest gets its pages back.</summary>
    private void LeaveFifo()
    {
        List<uint> frames;
        lock (_lock)
        {
            if (_abi is not FifoEvents fifo)
            {
                return;
            }

            frames = fifo.TakeFrames();
            foreach (EventChannel channel in _ports.OfType<EventChannel>())
            {
                (channel.QueueVcpu, channel.QueuePriority, channel.IsLatched) = (0, 0, false);
            }

            if (_ports.Length > TwoLevelEvents.Limit)
            {
                Array.Resize(ref _ports, TwoLevelEvents.Limit);
            }

            _lowestFree = 1;
            Volatile.Write(ref _abi, new TwoLevelEvents(Domain));
        }

        // Not under the lock: the memory's own comes before it.
        frames.ForEach(Domain.Memory.PutPageAndType);
    }

    // What waits by the 2-level bits waits for its event word instead.
    private void ChangeTo(FifoEvents fifo)
    {
        foreach (uint port in InUse())
        {
            _ports[port]!.IsLatched = _abi.IsPending(port);
        }

        Volatile.Write(ref _abi, fifo);
    }

    private bool TryTakeFrame(ulong frame, out uint mfn)
    {
        mfn = 0;
        return frame <= uint.MaxValue && Domain.Memory.TryTranslate((uint)frame, out mfn) && Domain.Memory.TryGetPageAndType(mfn, PageType.Writable);
    }
}
