using System.Runtime.InteropServices;

namespace Dbt.Translator.Diagnostics;

/// <summary>A sample as <see cref="DbtEventSource.Samples"/> carries it, little-endian.</summary>
[StructLayout(LayoutKind.Sequential, Pack = 1)]
public struct SampleRecord
{
    /// <summary>Bytes of one.</summary>
    public const int Bytes = 28;

    /// <summary>Frame where it isn't known.</summary>
    public const uint NoFrame = uint.MaxValue;

    /// <summary>The processor's number.</summary>
    public ushort Processor;

    /// <summary>What it did: a <see cref="ProcessorActivity"/>.</summary>
    public byte Doing;

    /// <summary>Privilege level of the guest's code.</summary>
    public byte Cpl;

    /// <summary>A hypercall's number.</summary>
    public ushort Detail;

    /// <summary>Not used.</summary>
    public ushort Reserved;

    /// <summary>Microseconds that it stands for.</summary>
    public uint Weight;

    /// <summary>Linear address of the guest's code.</summary>
    public uint Address;

    /// <summary>The address space.</summary>
    public uint Cr3;

    /// <summary>Machine frame of the code, or <see cref="NoFrame"/>.</summary>
    public uint Frame;

    /// <summary>Milliseconds after the event's time.</summary>
    public uint After;
}
