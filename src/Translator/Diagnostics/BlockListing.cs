namespace Dbt.Translator.Diagnostics;

/// <summary>A translation for a person to read.</summary>
/// <param name="Title">What it is, and what runs at present.</param>
/// <param name="Rows">Guest instructions with their IL.</param>
/// <param name="Host">The host's code, instruction by instruction.</param>
public sealed record BlockListing(string Title, IReadOnlyList<ListedInstruction> Rows, IReadOnlyList<string> Host);

/// <summary>A guest instruction and what became of it.</summary>
/// <param name="Address">EIP; 0 for code that belongs to no instruction.</param>
/// <param name="Guest">The instruction.</param>
/// <param name="Il">Its IL.</param>
public sealed record ListedInstruction(uint Address, string Guest, IReadOnlyList<string> Il);
