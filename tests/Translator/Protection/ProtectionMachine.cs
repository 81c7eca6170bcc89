using Dbt.Translator;
using Dbt.Translator.Memory;
using Dbt.Translator.Protection;
using Dbt.Translator.State;

namespace Dbt.Tests.Translator.Protection;

/// <summary>The smallest machine: a native processor, RAM, the debug console at 0xE9 and the exit port at 0xF4.</summary>
internal sealed unsafe class ProtectionMachine : NativePlatform
{
    private const uint Bytes = 16 << 20;
    private readonly byte* _memory;
    private bool _stopped;
    private bool _halted;

    public ProtectionMachine(byte[] image)
        : this(image, HostMemory.Reserve(Bytes))
    {
    }

    private ProtectionMachine(byte[] image, byte* memory)
        : base(memory)
    {
        _memory = memory;
        CodeMap = new CodeMap(memory, Bytes >> 12);
        image.CopyTo(new Span<byte>(memory + MonitorLayout.Image, image.Length));
    }

    /// <summary>What the program wrote to its console.</summary>
    public MemoryStream Console { get; } = new();

    /// <summary>Why it shut down; null where it didn't.</summary>
    public string? ShutdownReason { get; private set; }

    /// <summary>Vectors that the interrupt controller has, in order.</summary>
    public Queue<int> Interrupts { get; } = new();

    /// <summary>NMIs that wait.</summary>
    public int Nmis { get; set; }

    /// <summary>Writes to device registers.</summary>
    public List<(ulong Address, uint Value)> DeviceWrites { get; } = [];

    /// <summary>Host address of physical address 0.</summary>
    public byte* Memory => _memory;

    public override CodeMap CodeMap { get; }

    protected internal override bool HasInterrupt => Interrupts.Count != 0;

    /// <summary>Runs until the program leaves or the processor shuts down.</summary>
    public void Run(EngineOptions options, uint entry)
    {
        Cpu->Eip = entry;
        using Engine engine = EngineFactory.Create(options, this, Cpu);
        engine.Run(Cpu);
    }

    /// <summary>Makes the processor leave its loop.</summary>
    public void Leave()
    {
        _stopped = true;
        Cpu->Attention = 1;
    }

    public override void Cpuid(CpuState* cpu, uint leaf, uint subleaf, out uint eax, out uint ebx, out uint ecx, out uint edx) =>
        (eax, ebx, ecx, edx) = (leaf, 0, 0, 0);

    public override ulong ReadTsc(CpuState* cpu) => 1;

    public override void ReportUnimplemented(CpuState* cpu, string name) => throw new InvalidOperationException($"not implemented: {name}");

    protected internal override byte* PhysicalPage(ulong frame, bool write) => frame < Bytes >> 12 ? _memory + (frame << 12) : null;

    protected internal override uint ReadDevice(ulong physical) => (uint)physical ^ 0x5A5A5A5A;

    protected internal override void WriteDevice(ulong physical, uint value) => DeviceWrites.Add((physical, value));

    protected internal override uint ReadPort(ushort port, int size) => uint.MaxValue;

    protected internal override void WritePort(ushort port, int size, uint value)
    {
        switch (port)
        {
            case 0xE9:
                Console.WriteByte((byte)value);
                break;
            case 0xF4:
                Leave();
                break;
        }
    }

    protected internal override bool TryReadMsr(uint index, out ulong value)
    {
        value = 0;
        return false;
    }

    protected internal override bool TryWriteMsr(uint index, ulong value) => false;

    protected internal override int AcknowledgeInterrupt() => Interrupts.Dequeue();

    protected internal override bool TakeNmi()
    {
        if (Nmis == 0)
        {
            return false;
        }

        Nmis--;
        return true;
    }

    protected internal override void Halt(CpuState* cpu) => _halted = true;

    protected internal override void Shutdown(CpuState* cpu, string reason)
    {
        ShutdownReason = reason;
        _stopped = true;
    }

    protected override bool AttendOutside(CpuState* cpu)
    {
        // Nothing comes from elsewhere, so a halt that nothing here ends is for good.
        if (_halted)
        {
            _halted = false;
            bool wakes = Nmis != 0 || (HasInterrupt && (cpu->Eflags & Flags.If) != 0);
            if (!wakes)
            {
                ShutdownReason = "halted";
                return false;
            }
        }

        return !_stopped;
    }

    protected override void Dispose(bool disposing)
    {
        base.Dispose(disposing);
        HostMemory.Release(_memory, Bytes);
    }
}
