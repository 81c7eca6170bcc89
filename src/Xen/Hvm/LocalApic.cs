using System.Numerics;

namespace Dbt.Xen.Hvm;

/// <summary>
/// The local APIC of one processor in its memory-mapped form (SDM vol. 3, chapter 11), as Xen gives one to a domain: fixed interrupts, IPIs,
/// the timer, no lines from outside. Registers are the processor's own; vectors may arrive from any thread.
/// </summary>
internal sealed partial class LocalApic
{
    /// <summary>Where its page lies, always.</summary>
    public const ulong Address = 0xFEE00000;

    private const uint Identity = 0x20, VersionRegister = 0x30, TaskPriority = 0x80, ProcessorPriority = 0xA0, EndOfInterrupt = 0xB0,
        LogicalDestination = 0xD0, DestinationFormat = 0xE0, Spurious = 0xF0, InService = 0x100, TriggerMode = 0x180, Request = 0x200,
        ErrorStatus = 0x280, CommandLow = 0x300, CommandHigh = 0x310, TimerEntry = 0x320, ThermalEntry = 0x330, CounterEntry = 0x340,
        Line0Entry = 0x350, Line1Entry = 0x360, ErrorEntry = 0x370, InitialCount = 0x380, CurrentCount = 0x390, Divide = 0x3E0;

    // Version 14h, six LVT entries.
    private const uint Version = 0x00050014;
    private const uint SoftwareEnabled = 0x100, Masked = 1 << 16, DeliveryPending = 1 << 12;
    private const uint ErrorIllegalVector = 1 << 6, ErrorSendIllegal = 1 << 5;

    private readonly IApicBus _bus;
    private readonly uint[] _requested = new uint[8];
    private readonly uint[] _inService = new uint[8];
    private readonly uint[] _entries = new uint[6];
    private uint _taskPriority, _logical, _format, _spurious, _commandLow, _commandHigh, _errors, _errorsShown;

    /// <param name="id">APIC id.</param>
    /// <param name="bus">Who delivers to others, and keeps the time.</param>
    public LocalApic(uint id, IApicBus bus)
    {
        _bus = bus;
        Id = id;
        Timer = new ApicTimer(bus, Fire);
        Reset();
    }

    /// <summary>APIC id.</summary>
    public uint Id { get; }

    /// <summary>The logical destination, in its top byte.</summary>
    public uint Logical => _logical;

    /// <summary>Whether logical destinations are flat (one bit a processor), and not by cluster.</summary>
    public bool IsFlat => _format >> 28 == 0xF;

    internal ApicTimer Timer { get; }

    private bool IsEnabled => (_spurious & SoftwareEnabled) != 0;

    private uint Priority => Math.Max(_taskPriority, Highest(_inService) is >= 0 and int vector ? (uint)vector & 0xF0 : 0);

    /// <summary>After INIT or a reset.</summary>
    public void Reset()
    {
        Array.Clear(_requested);
        Array.Clear(_inService);
        Array.Fill(_entries, Masked);
        (_taskPriority, _logical, _commandLow, _commandHigh, _errors, _errorsShown) = (0, 0, 0, 0, 0, 0);
        (_format, _spurious) = (uint.MaxValue, 0xFF);
        Timer.Reset();
    }

    /// <summary>A fixed interrupt arrives. Any thread; the caller kicks the processor.</summary>
    /// <param name="vector">16 to 255; others are the sender's error and are dropped.</param>
    public void Accept(int vector)
    {
        if (vector is >= 16 and <= 255)
        {
            Interlocked.Or(ref _requested[vector >> 5], 1u << (vector & 31));
        }
    }

    /// <summary>The vector that is to interrupt the processor now; -1 for none.</summary>
    public int Pending()
    {
        if (!IsEnabled)
        {
            return -1;
        }

        int vector = Highest(_requested);
        return vector >= 0 && ((uint)vector & 0xF0) > (Priority & 0xF0) ? vector : -1;
    }

    /// <summary>The processor takes an interrupt.</summary>
    /// <returns>Its vector; -1 where there is none.</returns>
    public int Acknowledge()
    {
        int vector = Pending();
        if (vector >= 0)
        {
            uint bit = 1u << (vector & 31);
            Interlocked.And(ref _requested[vector >> 5], ~bit);
            _inService[vector >> 5] |= bit;
        }

        return vector;
    }

    /// <summary>Reads a register.</summary>
    /// <param name="offset">Byte offset in the page, a multiple of 4.</param>
    public uint Read(uint offset) => (offset & 0xF) != 0 ? 0 : offset switch
    {
        Identity => Id << 24,
        VersionRegister => Version,
        TaskPriority => _taskPriority,
        ProcessorPriority => Priority,
        LogicalDestination => _logical,
        DestinationFormat => _format,
        Spurious => _spurious,
        >= InService and < TriggerMode => _inService[(offset - InService) >> 4],
        >= Request and < ErrorStatus => Volatile.Read(ref _requested[(offset - Request) >> 4]),
        ErrorStatus => _errorsShown,
        CommandLow => _commandLow,
        CommandHigh => _commandHigh,
        >= TimerEntry and <= ErrorEntry => _entries[(offset - TimerEntry) >> 4],
        InitialCount => Timer.InitialCount,
        CurrentCount => Timer.CurrentCount,
        Divide => Timer.Divide,
        _ => 0,
    };

    /// <summary>Writes a register; what can't be written stays.</summary>
    /// <param name="offset">Byte offset in the page, a multiple of 4.</param>
    /// <param name="value">What is stored.</param>
    public void Write(uint offset, uint value)
    {
        switch (offset)
        {
            case TaskPriority:
                _taskPriority = value & 0xFF;
                break;
            case EndOfInterrupt:
                if (Highest(_inService) is >= 0 and int vector)
                {
                    _inService[vector >> 5] &= ~(1u << (vector & 31));
                }

                break;
            case LogicalDestination:
                _logical = value & 0xFF000000;
                break;
            case DestinationFormat:
                _format = value | 0x0FFFFFFF;
                break;
            case Spurious:
                WriteSpurious(value & 0x3FF);
                break;
            case ErrorStatus:
                (_errorsShown, _errors) = (_errors, 0);
                break;
            case CommandLow:
                _commandLow = value & 0xCDFFF & ~DeliveryPending;
                Send();
                break;
            case CommandHigh:
                _commandHigh = value & 0xFF000000;
                break;
            case TimerEntry:
                _entries[0] = value & 0x300FF;
                Timer.SetPeriodic((value & (1 << 17)) != 0);
                break;
            case ThermalEntry or CounterEntry:
                _entries[(offset - TimerEntry) >> 4] = value & 0x107FF;
                break;
            case Line0Entry or Line1Entry:
                _entries[(offset - TimerEntry) >> 4] = value & 0x1A7FF;
                break;
            case ErrorEntry:
                _entries[5] = value & 0x100FF;
                break;
            case InitialCount:
                Timer.Start(value);
                break;
            case Divide:
                Timer.Divide = value & 0xB;
                break;
        }
    }

    // A disabled APIC masks its local entries.
    private void WriteSpurious(uint value)
    {
        _spurious = value;
        if (!IsEnabled)
        {
            for (int i = 0; i < _entries.Length; i++)
            {
                _entries[i] |= Masked;
            }
        }
    }

    private void Send()
    {
        var command = new ApicCommand(_commandLow, _commandHigh >> 24);
        if (command.Mode == ApicCommand.Fixed && command.Vector < 16)
        {
            _errors |= ErrorSendIllegal;
            if ((_entries[5] & Masked) == 0)
            {
                Accept((int)(_entries[5] & 0xFF));
            }

            return;
        }

        _bus.Send(this, command);
    }

    // On the timers' thread.
    private void Fire()
    {
        uint entry = Volatile.Read(ref _entries[0]);
        if ((entry & Masked) != 0)
        {
            return;
        }

        int vector = (int)(entry & 0xFF);
        if (vector < 16)
        {
            _errors |= ErrorIllegalVector;
            return;
        }

        Accept(vector);
        _bus.Wake(this);
    }

    private static int Highest(uint[] bits)
    {
        for (int i = 7; i >= 0; i--)
        {
            uint word = Volatile.Read(ref bits[i]);
            if (word != 0)
            {
                return (i << 5) + BitOperations.Log2(word);
            }
        }

        return -1;
    }
}
