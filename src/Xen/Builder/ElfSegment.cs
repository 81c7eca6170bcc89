namespace Dbt.Xen.Builder;

/// <summary>A program header of an ELF32 file (System V ABI, "Program Header").</summary>
/// <param name="Type">p_type: 1 LOAD, 4 NOTE.</param>
/// <param name="Offset">p_offset, bytes from the file's start.</param>
/// <param name="VirtualAddress">p_vaddr.</param>
/// <param name="PhysicalAddress">p_paddr.</param>
/// <param name="FileSize">p_filesz.</param>
/// <param name="MemorySize">p_memsz; the bytes past <paramref name="FileSize"/> are zero.</param>
/// <param name="Flags">p_flags.</param>
internal readonly record struct ElfSegment(
    uint Type, uint Offset, uint VirtualAddress, uint PhysicalAddress, uint FileSize, uint MemorySize, uint Flags)
{
    /// <summary>PT_LOAD.</summary>
    public const uint Load = 1;

    /// <summary>PT_NOTE.</summary>
    public const uint Note = 4;

    /// <summary>PF_X.</summary>
    public const uint Executable = 1;

    /// <summary>One past the last physical byte.</summary>
    public ulong PhysicalEnd => (ulong)PhysicalAddress + MemorySize;
}
