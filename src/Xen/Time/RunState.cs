using System.Buffers.Binary;
using Dbt.Xen.Memory;

namespace Dbt.Xen.Time;

/// <summary>What a processor is doing (public/vcpu.h, RUNSTATE_*).</summary>
internal enum RunStateKind
{
    /// <summary>Executing guest code.</summary>
    Running = 0,

    /// <summary>Could run, but the host has not given it a processor.</summary>
    Runnable = 1,

    /// <summary>Waiting for an event.</summary>
    Blocked = 2,

    /// <summary>Down or paused.</summary>
    Offline = 3,
}

/// <summary>A processor's accounting of time by state, and the copy in guest memory (vcpu_runstate_info, 44 bytes on i386).</summary>
internal sealed partial class RunState(Vcpu vcpu)
{
    /// <summary>Size of the i386 structure: state, state_entry_time and four times, 4-byte aligned.</summary>
    public const int Size = 44;

    // VMASST_TYPE_runstate_update_flag: XEN_RUNSTATE_UPDATE in state_entry_time while the copy is being written.
    private const int UpdateFlagAssist = 5;
    private const long UpdateFlag = 1L << 63;

    private readonly Lock _lock = new();
    private readonly long[] _times = new long[4];
    private RunStateKind _state = RunStateKind.Offline;
    private long _since = vcpu.Domain.Clock.Now;
    private long _waits;

    /// <summary>Guest linear address of the registered copy; 0 for none.</summary>
    public uint GuestArea { get; set; }

    /// <summary>What the processor is doing.</summary>
    public RunStateKind State
    {
        get
        {
            lock (_lock)
            {
                return _state;
            }
        }
    }

    /// <summary>Nanoseconds in which it executed guest code.</summary>
    public long RunNanoseconds
    {
        get
        {
            lock (_lock)
            {
                return _times[(int)RunStateKind.Running] + (_state == RunStateKind.Running ? vcpu.Domain.Clock.Now - _since : 0);
            }
        }
    }

    /// <summary>How often it was blocked.</summary>
    public long Waits => Interlocked.Read(ref _waits);

    /// <summary>Enters a state. Running also renews the guest's copy, on the processor's own thread.</summary>
    public void Enter(RunStateKind state)
    {
        lock (_lock)
        {
            long now = vcpu.Domain.Clock.Now;
            _times[(int)_state] += now - _since;
            _since = now;
            _state = state;
            _waits += state == RunStateKind.Blocked ? 1 : 0;
        }

        if (state == RunStateKind.Running && GuestArea != 0)
        {
            WriteCopy();
        }
    }

    /// <summary>The structure as of now.</summary>
    public void Read(Span<byte> destination)
    {
        lock (_lock)
        {
            long now = vcpu.Domain.Clock.Now;
            BinaryPrimitives.WriteInt32LittleEndian(destination, (int)_state);
            BinaryPrimitives.WriteInt64LittleEndian(destination[4..], _since);
            for (int i = 0; i < 4; i++)
            {
                long time = _times[i] + (i == (int)_state ? now - _since : 0);
                BinaryPrimitives.WriteInt64LittleEndian(destination[(12 + (8 * i))..], time);
            }
        }
    }

    /// <summary>Writes the guest's copy; a copy that is not mapped just now is left alone, as in Xen.</summary>
    public void WriteCopy()
    {
        Span<byte> info = stackalloc byte[Size];
        Read(info);
        uint area = GuestArea;
        if ((vcpu.Domain.VmAssist & (1u << UpdateFlagAssist)) == 0)
        {
            GuestAccess.TryWrite(vcpu, area, info);
            return;
        }

        long since = BinaryPrimitives.ReadInt64LittleEndian(info[4..]);
        BinaryPrimitives.WriteInt64LittleEndian(info[4..], since | UpdateFlag);
        if (GuestAccess.TryWrite(vcpu, area, info))
        {
            GuestAccess.TryWrite(vcpu, area + 4, since);
        }
    }
}
