using Dbt.Translator.Memory;
using Dbt.Translator.State;

namespace Dbt.Translator.Protection;

/// <summary>
/// Registers of devices in memory. The access is given a page of its own that never enters the software TLB: it holds what the device's
/// register reads, and what the instruction stores there goes to the device before the next instruction (the write ends the block as a
/// write to code does). Good for aligned 32-bit registers, which is what an APIC has; a string instruction reaches only the register that
/// it began with.
/// </summary>
internal sealed unsafe class DeviceWindow
{
    private readonly NativePlatform _owner;
    private readonly uint[] _page = GC.AllocateArray<uint>(2048, pinned: true);
    private readonly byte* _window;
    private ulong _written;
    private bool _hasWrite;

    public DeviceWindow(NativePlatform owner)
    {
        _owner = owner;
        fixed (uint* page = _page)
        {
            _window = (byte*)(((ulong)page + 4095) & ~4095UL);
        }
    }

    /// <summary>Opens the register at a physical address.</summary>
    /// <returns>Host address of the byte, usable to the end of its page.</returns>
    public byte* Open(CpuState* cpu, ulong physical, MemoryAccess access)
    {
        Finish();
        byte* place = _window + (physical & 0xFFC);
        new Span<byte>(_window, 4096).Fill(0xFF);
        *(uint*)place = _owner.ReadDevice(physical & ~3UL);
        if (access == MemoryAccess.Write)
        {
            _written = physical & ~3UL;
            _hasWrite = true;
            cpu->CodeChanged = 1;
            cpu->Attention = 1;
        }

        return _window + (physical & 0xFFF);
    }

    /// <summary>Hands the device what was stored.</summary>
    public void Finish()
    {
        if (_hasWrite)
        {
            _hasWrite = false;
            _owner.WriteDevice(_written, *(uint*)(_window + (_written & 0xFFC)));
        }
    }

    /// <summary>The instruction that was going to write has faulted.</summary>
    public void Abandon() => _hasWrite = false;
}
