namespace Dbt.Xen.Builder;

/// <summary>A section header of an ELF32 file (System V ABI, "Sections").</summary>
/// <param name="Name">Name from the section name table; empty where it has none.</param>
/// <param name="Type">sh_type.</param>
/// <param name="Offset">sh_offset.</param>
/// <param name="Size">sh_size.</param>
/// <param name="Link">sh_link; of a symbol table, the index of its string table.</param>
/// <param name="HeaderOffset">Where the header itself lies in the file.</param>
internal readonly record struct ElfSection(string Name, uint Type, uint Offset, uint Size, uint Link, uint HeaderOffset)
{
    /// <summary>SHT_SYMTAB.</summary>
    public const uint SymbolTable = 2;

    /// <summary>SHT_STRTAB.</summary>
    public const uint StringTable = 3;

    /// <summary>SHT_NOTE.</summary>
    public const uint Note = 7;
}
