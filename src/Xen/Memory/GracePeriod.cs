namespace Dbt.Xen.Memory;

/// <summary>
/// References that page-table entries gave up, kept until no other processor of the domain can still use them. A processor in guest code
/// may have looked a host address up just before the entry was changed, and write through it after; where the page had been given to
/// another domain by then, or had become a page table, that would be the end of isolation (XSA-401, XSA-408). So such a reference is
/// given back only when every processor that was in guest code has passed a point where it holds no address
/// (<see cref="Vcpu.SafePoints"/>) or is outside. With one running processor there is nothing to wait for, and nothing is kept.
/// </summary>
internal sealed unsafe class GracePeriod(Domain domain, FrameTable frames)
{
    // From here on the others are hurried, and hypercalls wait.
    private const int Many = 512, TooMany = 1 << 16;

    // A processor passes a safe point within microseconds of being asked, but for one whose host thread isn't running.
    private const int Patience = 2000;

    private List<(uint Mfn, bool Writable)> _open = [];
    private List<(uint Mfn, bool Writable)> _closed = [];
    private long[] _passed = [];

    /// <summary>Whether references are kept: an attempt that failed for a count may succeed after <see cref="TryWait"/>.</summary>
    public bool HasPending => _open.Count + _closed.Count != 0;

    /// <summary>Whether the next hypercall is to wait.</summary>
    public bool IsLong => _open.Count > TooMany;

    /// <summary>
    /// Gives back a reference (and a writable count) that an entry held, now or later. The software TLBs have been cleared of the
    /// entry. Under the page-table lock.
    /// </summary>
    public void Put(uint mfn, bool writable)
    {
        if (domain.Vcpus.Count > 1 && OthersAreInGuestCode())
        {
            _open.Add((mfn, writable));
        }
        else
        {
            GiveBack(mfn, writable);
        }
    }

    /// <summary>Gives back what may be given back by now. Under the page-table lock.</summary>
    public void Poll()
    {
        if (!HasPending)
        {
            return;
        }

        for (int i = 0; i < 2 && HasPending; i++)
        {
            if (_closed.Count != 0)
            {
                if (!AllPassed())
                {
                    break;
                }

                foreach ((uint mfn, bool writable) in _closed)
                {
                    GiveBack(mfn, writable);
                }

                _closed.Clear();
            }

            (_open, _closed) = (_closed, _open);
            Snapshot();
        }

        if (_open.Count > Many)
        {
            Hurry();
        }
    }

    /// <summary>The processors have stopped for good: gives everything back.</summary>
    public void Finish()
    {
        foreach ((uint mfn, bool writable) in _closed.Concat(_open))
        {
            GiveBack(mfn, writable);
        }

        _closed.Clear();
        _open.Clear();
    }

    /// <summary>
    /// Waits until everything kept is given back. Called from a hypercall, without any lock: the calling processor holds no address,
    /// and is outside while it waits, so that two may wait for each other.
    /// </summary>
    /// <returns>False where another processor's thread didn't get the time it needs.</returns>
    public bool TryWait(Lock pageTables)
    {
        Vcpu? current = Vcpu.Current;
        current?.Leave();
        try
        {
            for (int attempt = 0; attempt < Patience; attempt++)
            {
                lock (pageTables)
                {
                    Poll();
                    if (!HasPending)
                    {
                        return true;
                    }

                    if (attempt % 64 == 0)
                    {
                        Hurry();
                    }
                }

                if (attempt < 20)
                {
                    Thread.SpinWait(50 << (attempt / 4));
                }
                else
                {
                    Thread.Sleep(attempt < 100 ? 0 : 1);
                }
            }

            return false;
        }
        finally
        {
            current?.Return();
        }
    }

    private void GiveBack(uint mfn, bool writable)
    {
        if (writable)
        {
            frames.PutPlainType(mfn);
        }

        frames.Put(mfn);
    }

    private bool OthersAreInGuestCode()
    {
        // Between the clearing of the TLBs and looking who is where; Vcpu.Return has the other one.
        Interlocked.MemoryBarrier();
        Vcpu? current = Vcpu.Current;
        foreach (Vcpu vcpu in domain.Vcpus)
        {
            if (vcpu != current && !vcpu.IsOutside)
            {
                return true;
            }
        }

        return false;
    }

    private void Snapshot()
    {
        Interlocked.MemoryBarrier();
        int count = domain.Vcpus.Count;
        if (_passed.Length < count)
        {
            _passed = new long[count];
        }

        for (int i = 0; i < count; i++)
        {
            _passed[i] = domain.Vcpus[i].SafePoints;
        }
    }

    private bool HasPassed(int index)
    {
        Vcpu vcpu = domain.Vcpus[index];
        return vcpu.IsOutside || vcpu.SafePoints != _passed[index] || (vcpu == Vcpu.Current && vcpu.InHypercall);
    }

    private bool AllPassed()
    {
        for (int i = 0; i < _passed.Length; i++)
        {
            if (!HasPassed(i))
            {
                return false;
            }
        }

        return true;
    }

    private void Hurry()
    {
        for (int i = 0; i < _passed.Length; i++)
        {
            if (!HasPassed(i))
            {
                domain.Vcpus[i].Kick();
            }
        }
    }
}
